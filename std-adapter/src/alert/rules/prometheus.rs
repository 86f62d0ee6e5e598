//! Rules as Prometheus has them, for a server that is to look at them too.

use super::super::language::{in_prometheus, show_duration};
use super::{Kind, Rule, RuleError, Rules, RulesError};
use std::fmt::Write;
use std::path::Path;
use throughline_export::text::json;

/// The group of rules that have none.
const GROUP: &str = "throughline";

impl Rules {
    /// The rules as a file of rules for Prometheus, in YAML. `file` is what messages call the file that they are from. Thresholds are filled in, and
    /// inhibitions and mute time intervals, which belong into an Alertmanager's configuration, become comments. It has no words for `depends_on` and `urgent`,
    /// which are left out.
    ///
    /// ```
    /// use throughline_std::alert::Rules;
    /// let rules = Rules::parse("a.yaml", "[{name: Hot, condition: temperature > threshold, threshold: 80, duration: 5m}]")?;
    /// assert_eq!(rules.to_prometheus("a.yaml")?, "\
    /// groups:
    /// - name: \"throughline\"
    ///   rules:
    ///   - alert: \"Hot\"
    ///     expr: \"temperature > 80\"
    ///     for: 5m
    /// ");
    /// # Ok::<(), throughline_std::alert::RulesError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Rules that name a metric by its name in the program, with dots, because its name in Prometheus depends on its unit and kind, and those that use
    /// functions which Prometheus does not have.
    pub fn to_prometheus(&self, file: impl AsRef<Path>) -> Result<String, RulesError> {
        let mut groups: Vec<(&str, Vec<&Rule>)> = Vec::new();
        let mut errors = Vec::new();
        for rule in &self.rules {
            errors.extend(rule.unportable(file.as_ref()));
            let name = if rule.group.is_empty() { GROUP } else { &rule.group };
            match groups.iter_mut().find(|(known, _)| *known == name) {
                Some((_, rules)) => rules.push(rule),
                None => groups.push((name, vec![rule])),
            }
        }
        if !errors.is_empty() {
            return Err(RulesError { errors });
        }
        let mut out = String::new();
        for inhibition in &self.inhibitions {
            let list = |matchers: &[super::Matcher]| {
                let matchers: Vec<String> = matchers.iter().map(|it| format!("'{it}'")).collect();
                matchers.join(", ")
            };
            // Writing into a string cannot fail.
            let _ = writeln!(
                out,
                "# For inhibit_rules of the Alertmanager: {{source_matchers: [{}], target_matchers: [{}], equal: [{}]}}",
                list(&inhibition.source),
                list(&inhibition.target),
                inhibition.equal.join(", ")
            );
        }
        for mute in &self.mutes {
            let _ = writeln!(out, "# For time_intervals of the Alertmanager: {}", mute.name);
        }
        out.push_str(if groups.is_empty() { "groups: []\n" } else { "groups:\n" });
        for (name, rules) in groups {
            let _ = writeln!(out, "- name: {}", json(name));
            if let Some(interval) = rules.iter().find_map(|rule| rule.interval) {
                let _ = writeln!(out, "  interval: {}", show_duration(interval));
            }
            out.push_str("  rules:\n");
            rules.into_iter().for_each(|rule| rule.write(&mut out));
        }
        Ok(out)
    }
}

impl Rule {
    /// Why a Prometheus cannot have the rule.
    fn unportable(&self, file: &Path) -> Option<RuleError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let text = if self.expression.contains("anomaly_score") {
            "anomaly_score is no function of Prometheus; write a threshold, or leave the rule to the service"
                .to_owned()
        } else if let Some(dotted) = self.dotted.first() {
            format!(
                "`{dotted}` is the name in the program; write the one that the page of metrics shows, with its unit and _total"
            )
        } else if self.kind == Kind::Record && !self.name.chars().all(is_plain) {
            format!(
                "`{}` is no name of a metric in Prometheus; write it with letters, digits, _ and :",
                self.name
            )
        } else {
            return None;
        };
        let (file, rule) = (file.to_owned(), Some(self.name.to_string()));
        Some(RuleError { file, place: Some((self.line, 1)), rule, text })
    }

    fn write(&self, out: &mut String) {
        let is_alert = self.kind == Kind::Alert;
        let _ = writeln!(out, "  - {}: {}", if is_alert { "alert" } else { "record" }, json(&self.name));
        let _ = writeln!(out, "    expr: {}", json(&in_prometheus(self.expression.trim(), self.threshold)));
        for (key, time) in [("for", self.hold), ("keep_firing_for", self.keep_firing)] {
            if is_alert && !time.is_zero() {
                let _ = writeln!(out, "    {key}: {}", show_duration(time));
            }
        }
        let annotations = if is_alert { &self.annotations[..] } else { &[] };
        for (key, texts) in [("labels", &self.labels[..]), ("annotations", annotations)] {
            if !texts.is_empty() {
                let _ = writeln!(out, "    {key}:");
            }
            for (at, (name, text)) in texts.iter().enumerate() {
                // The last of several wins, as here.
                if !texts[at + 1..].iter().any(|(later, _)| later == name) {
                    let _ = writeln!(out, "      {}: {}", json(name), json(&text.in_prometheus()));
                }
            }
        }
    }
}
