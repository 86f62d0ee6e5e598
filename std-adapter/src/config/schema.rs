//! Writes the JSON Schema of the configuration, for editors.

use super::key::Key;
use super::keys::{self, SECTIONS};
use super::value::{Kind, quoted};

/// Writes the JSON Schema (draft 2020-12), with which editors complete and check TOML and YAML files.
pub fn json_schema() -> String {
    let all: Vec<&Key> = keys::all().collect();
    let top = object(&all, "", 2);
    format!(
        "{{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n  \"title\": \"Throughline's configuration\",\n{}\n}}\n",
        &top[2..top.len() - 4]
    )
}

/// The schema of a section of these keys.
fn object(all: &[&'static Key], section: &str, indent: usize) -> String {
    let pad = " ".repeat(indent);
    let mut members: Vec<String> = Vec::new();
    for key in all.iter().filter(|key| key.section() == section) {
        members.push(format!("{pad}    {}: {}", quoted(key.name()), property(key)));
    }
    if section == "otlp" {
        members.push(format!(
            "{pad}    \"also\": {{ \"description\": {}, \"type\": [\"array\", \"object\"] }}",
            quoted(super::reference::ALSO)
        ));
    }
    if section.is_empty() {
        let observer: Vec<&Key> = keys::OBSERVER.iter().collect();
        members.push(format!(
            "{pad}    \"observers\": {{ \"description\": {}, \"anyOf\": [{{ \"type\": \"object\" }}, {{ \"type\": \"array\", \"items\": {} }}] }}",
            quoted(super::reference::OBSERVERS),
            object(&observer, "observers", indent + 4)
        ));
        // Files with these roots may use other names of the same keys, so everything is allowed there.
        members.push(format!("{pad}    \"throughline\": {{ \"$ref\": \"#\" }}"));
        members.extend(
            ["telemetry", "observability"]
                .map(|root| format!("{pad}    \"{root}\": {{ \"type\": \"object\" }}")),
        );
    }
    for name in subsections(all, section) {
        let path = if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
        members.push(format!("{pad}    {}: {}", quoted(name), object(all, &path, indent + 4)));
    }
    let doc = SECTIONS.iter().find(|(path, _)| *path == section).map(|(_, doc)| *doc);
    let doc = doc.map(|doc| format!("{pad}  \"description\": {},\n", quoted(doc))).unwrap_or_default();
    format!(
        "{{\n{doc}{pad}  \"type\": \"object\",\n{pad}  \"additionalProperties\": false,\n{pad}  \"properties\": {{\n{}\n{pad}  }}\n{pad}}}",
        members.join(",\n"),
    )
}

/// The names of the sections directly below `section`.
fn subsections(all: &[&'static Key], section: &str) -> Vec<&'static str> {
    let mut names = Vec::new();
    for key in all {
        let below = if section.is_empty() {
            Some(key.path)
        } else {
            key.path.strip_prefix(section).and_then(|rest| rest.strip_prefix('.'))
        };
        if let Some((name, _)) = below.and_then(|below| below.split_once('.'))
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    names
}

fn property(key: &Key) -> String {
    let doc = match keys::of_observer(key.path) {
        Some(_) => key.doc.to_owned(),
        None => format!("{} {} sets it too.", key.doc, key.variable()),
    };
    let description = format!("\"description\": {}", quoted(&doc));
    let default = match key.default_value() {
        Some(value) if !matches!(key.kind, Kind::Map | Kind::SecretMap) => {
            format!(", \"default\": {}", value.toml())
        }
        _ => String::new(),
    };
    format!("{{ {description}, {}{default} }}", kind(key.kind))
}

/// The schema of a value of this kind.
fn kind(kind: Kind) -> String {
    // A text with a variable is allowed for every type.
    let or_variable = |schema: &str| {
        format!("\"anyOf\": [{{ {schema} }}, {{ \"type\": \"string\", \"pattern\": \"\\\\$\\\\{{\" }}]")
    };
    match kind {
        Kind::Bool => or_variable("\"type\": \"boolean\""),
        Kind::Int { least, most: u64::MAX } => {
            or_variable(&format!("\"type\": \"integer\", \"minimum\": {least}"))
        }
        Kind::Int { least, most } => {
            or_variable(&format!("\"type\": \"integer\", \"minimum\": {least}, \"maximum\": {most}"))
        }
        Kind::Amount => or_variable("\"type\": \"number\", \"minimum\": 0"),
        Kind::Ratio => or_variable("\"type\": \"number\", \"minimum\": 0, \"maximum\": 1"),
        Kind::Duration => {
            or_variable("\"type\": \"string\", \"pattern\": \"^[0-9.]+ *(d|h|m|s|ms|us|µs|ns)$\"")
        }
        Kind::Size => or_variable(
            "\"anyOf\": [{ \"type\": \"integer\", \"minimum\": 0 }, { \"type\": \"string\", \"pattern\": \"^[0-9.]+ *([KMG]i?)?[bB]$\" }]",
        ),
        Kind::Text | Kind::Path | Kind::Secret => "\"type\": \"string\"".into(),
        Kind::Url => or_variable("\"type\": \"string\", \"pattern\": \"^https?://\""),
        Kind::OneOf(words) => or_variable(&format!("\"enum\": [{}]", list(words))),
        Kind::List([]) => "\"type\": \"array\", \"items\": { \"type\": \"string\" }".into(),
        Kind::List(words) => format!(
            "\"type\": \"array\", \"items\": {{ \"anyOf\": [{{ \"enum\": [{}] }}, {{ \"type\": \"object\", \"required\": [\"type\"] }}] }}",
            list(words)
        ),
        Kind::Map | Kind::SecretMap => "\"type\": \"object\"".into(),
    }
}

fn list(words: &[&str]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(", ")
}
