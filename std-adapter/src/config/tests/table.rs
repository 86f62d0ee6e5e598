//! Tests the table of keys, the reference file and the schema.

use super::{assert_committed, bare, errors, of_text, value};
use crate::config::keys::{self, SECTIONS};
use crate::config::node::Language;
use crate::config::{json_schema, reference};
use std::collections::BTreeSet;

#[test]
fn every_key_is_whole() {
    let mut names = BTreeSet::new();
    for key in keys::all() {
        assert!(names.insert(key.path.to_owned()), "{} is there twice", key.path);
        assert!(names.insert(key.variable()), "{} is set by the variable of another key", key.path);
        assert!(
            key.standard.iter().all(|it| names.insert(it.name.into())),
            "{} has a variable of another key",
            key.path
        );
        assert!(key.doc.ends_with('.') || key.doc.ends_with("and so on"), "{}: {}", key.path, key.doc);
        let text = if key.default.is_empty() { key.example } else { key.default };
        assert!(key.kind.read(text).is_ok(), "{} cannot be {text:?}", key.path);
        assert!(
            key.section().is_empty() || SECTIONS.iter().any(|(section, _)| *section == key.section()),
            "no words about {}",
            key.section()
        );
    }
    for (section, _) in SECTIONS {
        assert!(keys::is_section(section), "{section}");
    }
}

#[test]
fn the_defaults_in_the_table_are_those_of_the_code() {
    let mut config = bare(&[]);
    // The debug text is stable, because nothing is detected before `init`.
    let before = format!("{config:?}");
    for key in keys::all() {
        if let Some(value) = key.default_value() {
            (key.apply)(&mut config, &value).unwrap();
        }
    }
    assert_eq!(normal(&format!("{config:?}")), normal(&before));
}

/// Replaces values that are written differently but mean the same.
fn normal(text: &str) -> String {
    let text = text
        .replace("Records(8192)", "Batches(16)")
        .replace("metrics_every: Some(10s)", "metrics_every: None");
    text.replace("protocol: Some(\"http/protobuf\")", "protocol: None")
}

#[test]
fn the_reference_file_is_committed_and_every_line_of_it_can_be_taken() {
    let text = reference();
    assert_committed("docs/throughline.toml", &text);
    assert_eq!(errors(&of_text(&text, Language::Toml, &[])), Vec::<String>::new());
    let taken: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase()) => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let config = of_text(&taken, Language::Toml, &[]);
    for key in keys::all() {
        let shown = key.shown_value().unwrap();
        if !key.example.contains("${") {
            assert_eq!(value(&config, key.path), Some(shown.toml()), "{}", key.path);
        }
    }
    // The only errors are about certificates for `http://` endpoints, and
    // about two sources of one token.
    for error in config.problems.iter().map(ToString::to_string) {
        assert!(
            error.contains("is http://")
                || error.contains("is unix://")
                || error.contains("beside otlp.token.command"),
            "{error}"
        );
    }
}

#[test]
fn the_schema_is_committed() {
    assert_committed("docs/throughline.schema.json", &json_schema());
}
