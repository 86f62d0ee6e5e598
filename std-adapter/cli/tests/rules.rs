//! `throughline rules`, as a person calls it.

use std::process::{Command, Output};

const RULES: &str = r#"
rules:
  - name: HighErrorRate
    condition: sum by (http.route) (rate(errors_total{http.route!="/x"}[5m])) > threshold
    threshold: 0.05
    duration: 5m
    keep_firing_for: 1h30m
    severity: critical
    summary: "errors at {{ $labels.http.route }}"
    description: "{{ $value | humanizePercentage }} \"fail\""
  - record: job:errors:rate5m
    condition: sum(rate(errors_total[5m]))
    labels: {team: shop}
groups:
  - name: queues
    interval: 30s
    rules:
      - alert: QueueGrows
        expr: |
          # since when?
          deriv(queue_depth[10m]) > 0
            and queue_depth > 1000
        for: 10m
        labels: {severity: warning}
inhibit_rules:
  - {source_matchers: [severity=critical], target_matchers: [severity=warning], equal: [http.route]}
"#;

/// Runs the tool in a folder with this file.
fn run(args: &[&str], name: &str, text: &str) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(name), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_throughline"));
    let Output { status, stdout, stderr } =
        command.arg("rules").args(args).current_dir(folder.path()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn check_tells_all_mistakes_with_their_places() {
    let bad = "rules:\n- name: A\n  condition: rate(x) > 1\n- name: B\n  condition: x > 1\n  duration: 5\n";
    let (code, out, err) = run(&["check", "a.yaml"], "a.yaml", bad);
    let expected = "\
throughline: a.yaml:3:19: rule A: rate takes a series with a range; write such as rate(requests_total[5m])
throughline: a.yaml:6:13: rule B: 5 of what? Write 5s or 5m
throughline: 2 mistakes in a.yaml; mend what is told above
";
    assert_eq!((code, &*out, &*err), (1, "", expected));
    let (code, out, err) = run(&["check", "good.yaml"], "good.yaml", RULES);
    assert_eq!((code, &*out, &*err), (0, "good.yaml: 3 rules, no mistakes\n", ""));
    let (code, out, err) = run(&["check", "none.yaml", "good.yaml"], "good.yaml", RULES);
    assert!(
        code == 1 && out.starts_with("good.yaml: 3 rules") && err.contains("none.yaml: cannot be read: "),
        "{err}"
    );
}

#[test]
fn rules_are_made_for_prometheus() {
    let (code, out, err) = run(&["--prometheus", "a.yaml"], "a.yaml", RULES);
    let expected = r##"# For inhibit_rules of the Alertmanager: {source_matchers: ['severity="critical"'], target_matchers: ['severity="warning"'], equal: [http_route]}
groups:
- name: "throughline"
  rules:
  - alert: "HighErrorRate"
    expr: "sum by (http_route) (rate(errors_total{http_route!=\"/x\"}[5m])) > 0.05"
    for: 5m
    keep_firing_for: 1h30m
    labels:
      "severity": "critical"
    annotations:
      "summary": "errors at {{ $labels.http_route }}"
      "description": "{{ $value | humanizePercentage }} \"fail\""
  - record: "job:errors:rate5m"
    expr: "sum(rate(errors_total[5m]))"
    labels:
      "team": "shop"
- name: "queues"
  interval: 30s
  rules:
  - alert: "QueueGrows"
    expr: "# since when?\nderiv(queue_depth[10m]) > 0\n  and queue_depth > 1000"
    for: 10m
    labels:
      "severity": "warning"
"##;
    assert_eq!((code, &*out, &*err), (0, expected, ""));
    // What was made is read here, too, and gives the same.
    let (_, again, _) = run(&["--prometheus", "b.yaml"], "b.yaml", &out);
    assert_eq!(again, expected.split_once('\n').unwrap().1);
    let dotted = "rules: [{name: A, condition: http.requests > 1}]";
    let (code, out, err) = run(&["--prometheus", "a.yaml"], "a.yaml", dotted);
    assert_eq!((code, &*out), (1, ""));
    assert!(
        err.starts_with("throughline: a.yaml:1:1: rule A: `http.requests` is the name in the program; "),
        "{err}"
    );
}

#[test]
#[ignore = "needs promtool: cargo xtask test --only alertmanager"]
fn promtool_takes_them() {
    let (_, out, _) = run(&["--prometheus", "a.yaml"], "a.yaml", RULES);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), out).unwrap();
    let checked = Command::new("promtool").args(["check", "rules"]).arg(file.path()).output().unwrap();
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success() && said.contains("SUCCESS: 3 rules found"), "{checked:?}");
}
