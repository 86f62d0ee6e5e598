//! Mistakes in files of rules, and both of their shapes.

use super::super::Rules;

fn errors(text: &str) -> String {
    Rules::parse("r.yaml", text).map(|_| String::new()).unwrap_or_else(|error| error.to_string())
}

#[test]
fn errors_name_file_line_column_and_rule() {
    for (text, expected) in [
        (
            "rules:\n  - name: A\n    condition: up ==\n",
            "r.yaml:3:21: rule A: the end is here, where a metric",
        ),
        ("rules:\n  - name: A\n    condition: 'up == (1'\n", "r.yaml:3:25: rule A: "),
        (
            "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: |\n      sum(\n        rat(x[5m])) > 3\n",
            "r.yaml:7:9: rule A: there is no function `rat`; ",
        ),
        ("- {name: A, condition: up == 0, for: 5}", "r.yaml:1:38: rule A: 5 of what? Write 5s or 5m"),
        (
            "- {name: A, condition: up == 0, forr: 5m}",
            "r.yaml:1:3: rule A: `forr` is no key of a rule; its keys are name, ",
        ),
        ("- {name: A, condition: up == 0, labels: {alertname: x}}", "alertname is the name of the rule"),
        (
            "- {name: A, condition: up == 0, threshold: 3}",
            "r.yaml:1:24: rule A: the condition does not use the threshold",
        ),
        ("- {name: A, condition: up == 0, description: '{{ query }}'}", "rule A: the text has {{ query }}"),
        ("- {condition: up == 0}", "r.yaml:1:3: the rule has no name"),
        ("- {name: A}", "rule A: the rule has no condition"),
        (
            "rule: []",
            "r.yaml:1:1: `rule` is no key here; write rules, groups, inhibit_rules, mute_time_intervals or silences",
        ),
        ("rules: {}", "r.yaml:1:8: this is a section, not a list"),
        (
            "inhibit_rules: [{source_matchers: [a=b]}]",
            "an inhibition needs source_matchers and target_matchers",
        ),
        ("rules: [", "r.yaml:2:1: is not YAML: "),
        ("", "r.yaml: there are no rules; write `rules:` and a list, such as"),
        ("rules: []", "r.yaml: there are no rules; "),
        ("groups: [{name: g}]", "r.yaml: there are no rules; "),
        (
            "- {name: A, condition: up < threshold}",
            "r.yaml:1:29: rule A: the rule has no threshold; write threshold: and a number, or threshold{} for a metric",
        ),
        (
            "- {name: A, condition: up == 0}\n- {name: A, condition: down == 0}",
            "r.yaml:2:3: rule A: there is another rule of this name with the same labels in line 1; give each its own name",
        ),
        (
            "- {record: a, condition: up}\n- {record: a, condition: down}\n- {name: A, condition: a > 0}",
            "r.yaml:2:3: rule a: there is another rule of this name",
        ),
    ] {
        let told = errors(text);
        assert!(told.contains(expected), "{text}\n{told}");
    }
    let both = errors("- {name: A, condition: 1}\n- {name: B, condition: 2}");
    assert_eq!(both.lines().count(), 2, "{both}");
}

#[test]
fn rules_of_one_name_with_other_labels_are_no_mistake() {
    let text = "- {name: Hot, condition: t > 80, severity: warning}\n- {name: Hot, condition: t > 90, severity: critical}";
    assert_eq!(errors(text), "");
    // Rules may be off for a time, and a metric may have any name.
    assert_eq!(errors("- {name: A, condition: up == 0, enabled: false}"), "");
    assert_eq!(errors("- {name: A, condition: 'threshold{} > 3'}"), "");
}

#[test]
fn both_shapes_and_both_languages_are_the_same() {
    let plain = Rules::parse(
        "r.yaml",
        "rules: [{name: A, condition: x > threshold, threshold: 2, duration: 5m, severity: page, description: d}]",
    );
    let prometheus = Rules::parse(
        "r.yaml",
        "groups: [{name: '', rules: []}, {name: g, rules: [{alert: A, expr: x > 2, for: 5m, labels: {severity: page}, annotations: {description: d}}]}]",
    );
    assert!(prometheus.unwrap_err().to_string().contains("the group has no name"));
    let prometheus = Rules::parse(
        "r.yaml",
        "groups: [{name: g, rules: [{alert: A, expr: x > 2, for: 5m, labels: {severity: page}, annotations: {description: d}}]}]",
    );
    for rules in [plain.unwrap(), prometheus.unwrap()] {
        let rule = &rules.rules[0];
        assert_eq!((&*rule.name, rule.hold.as_secs(), rule.labels[0].1.source()), ("A", 300, "page"));
        assert_eq!((&*rule.annotations[0].0, rule.annotations[0].1.source()), ("description", "d"));
        assert_eq!(rules.plan.selectors.len(), 1);
    }
    #[cfg(feature = "toml")]
    {
        let text = "[[rules]]\nname = 'A'\ncondition = 'x > 2'\nduration = '5m'\n[[rules]]\nname = 'B'\ncondition = 'x > '\n";
        let told = Rules::parse("r.toml", text).unwrap_err().to_string();
        assert!(told.starts_with("r.toml:7:"), "{told}");
    }
}

#[test]
fn recorded_results_are_used_by_later_rules() {
    let text = "rules:\n- {record: error_rate, condition: errors / requests}\n- {name: A, condition: error_rate > threshold, threshold: 1}";
    let rules = Rules::parse("r.yaml", text).unwrap();
    assert_eq!((rules.len(), rules.names().collect::<Vec<_>>()), (2, vec!["A"]));
    assert!(
        errors("rules:\n- {record: a, condition: x}\n- {name: A, condition: 'rate(a[5m]) > 1'}")
            .contains("recording rule")
    );
}

#[test]
fn dependencies_are_found_in_the_file() {
    let rules = Rules::parse(
        "r.yaml",
        "- {name: A, condition: a > 1, depends_on: [B, {alert: C, equal: [host.name]}]}\n- {name: B, condition: b > 1}\n- {name: C, condition: c > 1}",
    )
    .unwrap();
    let found: Vec<_> = rules.rules[0].depends_on.iter().map(|it| (&*it.name, &*it.rules)).collect();
    assert_eq!(found, [("B", &[1][..]), ("C", &[2])]);
    for (text, expected) in [
        (
            "- {name: Pages, condition: a > 1, depends_on: [Page]}",
            "r.yaml:1:48: rule Pages: it depends on `Page`, and there is no such alert",
        ),
        ("- {name: A, condition: a > 1, depends_on: [Bb]}\n- {name: B, condition: b > 1}", "did you mean B?"),
        (
            "- {name: A, condition: a > 1, depends_on: [{equal: [x]}]}",
            "a dependency has the name of an alert",
        ),
        (
            "- {name: A, condition: a > 1, depends_on: [{alert: A, on: [x]}]}",
            "`on` is no key here; write alert and equal",
        ),
        (
            "- {name: A, condition: a > 1, depends_on: [B]}\n- {name: B, condition: b > 1, depends_on: [A]}",
            "rule A: it depends on itself, by way of B",
        ),
        (
            "- {name: A, condition: a > 1, depends_on: [A]}",
            "rule A: it depends on itself; remove one of the dependencies",
        ),
        ("- {name: A, condition: a > 1, urgent: very}", "urgent is true or false"),
    ] {
        let told = errors(text);
        assert!(told.contains(expected), "{text}\n{told}");
    }
}
