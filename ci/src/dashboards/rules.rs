//! Recording and alert rules of Prometheus, as a file of rules and as a `PrometheusRule` of Kubernetes.

use std::fmt::Write as _;

use serde_json::Value;

use super::alerts;

/// Rules that are evaluated together.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// Its name.
    pub name: &'static str,
    /// Its rules, in the order in which they are evaluated.
    pub rules: &'static [Rule],
}

/// A rule.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// A series that is computed.
    Record {
        /// Its name: level, metric and operations, as Prometheus's practices ask for.
        name: &'static str,
        /// Its value.
        expr: &'static str,
    },
    /// A condition that people are told of.
    Alert(Alert),
}

/// A condition that people are told of.
#[derive(Clone, Copy, Debug)]
pub struct Alert {
    /// Its name.
    pub name: &'static str,
    /// The condition.
    pub expr: &'static str,
    /// How long it has to hold.
    pub lasts: &'static str,
    /// `critical`: someone has to look now; `warning`: someone has to look today.
    pub severity: &'static str,
    /// One line that says what is wrong, with the labels of the series.
    pub summary: &'static str,
    /// What it means and what to do.
    pub description: &'static str,
    /// The section of `guides/troubleshooting.md` about it.
    pub section: &'static str,
}

/// The file that Prometheus reads.
#[must_use]
pub fn file() -> String {
    format!("# Made by `cargo xtask dashboards` from ci/src/dashboards: change it there.\n{}", groups(""))
}

/// The object for the Prometheus operator.
#[must_use]
pub fn object() -> String {
    format!(
        "\
# Made by `cargo xtask dashboards` from ci/src/dashboards: change it there.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: throughline
  labels:
    app.kubernetes.io/part-of: throughline
spec:
{}",
        groups("  ")
    )
}

fn groups(indent: &str) -> String {
    let mut out = format!("{indent}groups:\n");
    for group in alerts::ALL {
        line(&mut out, indent, 1, "- name", group.name);
        let _ = writeln!(out, "{indent}    rules:");
        for rule in group.rules {
            match rule {
                Rule::Record { name, expr } => {
                    line(&mut out, indent, 3, "- record", name);
                    line(&mut out, indent, 4, "expr", &one_line(expr));
                }
                Rule::Alert(alert) => {
                    line(&mut out, indent, 3, "- alert", alert.name);
                    line(&mut out, indent, 4, "expr", &one_line(alert.expr));
                    line(&mut out, indent, 4, "for", alert.lasts);
                    let _ = writeln!(out, "{indent}        labels:");
                    line(&mut out, indent, 5, "severity", alert.severity);
                    let _ = writeln!(out, "{indent}        annotations:");
                    line(&mut out, indent, 5, "summary", alert.summary);
                    line(&mut out, indent, 5, "description", alert.description);
                    line(
                        &mut out,
                        indent,
                        5,
                        "guide",
                        &format!("guides/troubleshooting.md#{}", alert.section),
                    );
                }
            }
        }
    }
    out
}

/// A key and its text. A text in JSON's quotes is a text in YAML too, whatever it contains.
fn line(out: &mut String, indent: &str, depth: usize, key: &str, text: &str) {
    let _ = writeln!(out, "{indent}{}{key}: {}", "  ".repeat(depth), Value::from(text));
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
