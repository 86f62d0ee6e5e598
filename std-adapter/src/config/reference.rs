//! Writes the reference file: a TOML file to copy from, which lists every key with its purpose, its default
//! and its variables.

use super::key::{Key, State};
use super::keys::{self, SECTIONS};
use std::fmt::Write;

const HEAD: &str = "\
# All keys of Throughline's configuration. Lines that begin with #name are keys; take the # away to set one. The value is the default, or an
# example where there is no default.
#
# The environment goes before this file: each key has a variable, THROUGHLINE_ and its sections and name with _ between them, and the
# variables of other standards that are named beside it. \"${NAME}\" in a text is the variable NAME, \"${NAME:-default}\" says what holds when it is
# not set, and \"$${\" is the characters themselves. Times have a unit: 250ms, 10s, 1m, 1h, 1d; sizes may: 64KiB, 10MiB.
#
# `throughline config check FILE` finds mistakes, `throughline config print FILE` shows what holds and why.

";

/// What the further collectors are.
pub(super) const ALSO: &str = "Further collectors, each with the keys of the section otlp and its sub-sections, and with name, signals and filter.";

/// An example of further collectors. The lines are no keys to uncomment, because they would end the section.
const ALSO_EXAMPLE: &str = "
#     [[otlp.also]]
#     name = \"archive\"                      (its name in the ledger; otlp-2 and so on unless given)
#     endpoint = \"http://archive:4318\"
#     signals = [\"traces\", \"logs\"]         (unless given: these and metrics)
#     filter = \"warn\"                       (what logs are sent to it, as logging.filter)
#     spool.directory = \"/var/spool/shop\"

";

/// What observers are.
pub(super) const OBSERVERS: &str = "Observers, which watch spans, events and metrics and act on what they find. Each is an item of the list `observers`, or a section with its name.";

/// The reference file, in TOML.
pub fn reference() -> String {
    let mut out = String::from(HEAD);
    for key in keys::all().filter(|key| key.section().is_empty()) {
        describe(key, &mut out);
    }
    for (section, doc) in SECTIONS {
        let _ = writeln!(out, "# {doc}\n[{section}]");
        keys::all().filter(|key| key.section() == *section).for_each(|key| describe(key, &mut out));
        if *section == "otlp" {
            wrap(ALSO, &mut out);
            out.push_str(ALSO_EXAMPLE.trim_start_matches('\n'));
        }
    }
    observers(&mut out);
    out.truncate(out.trim_end().len());
    out + "\n"
}

/// The keys of an observer. The lines are no keys to uncomment, because an observer without a condition is an error.
fn observers(out: &mut String) {
    wrap(OBSERVERS, out);
    out.push_str("#\n#     [[observers]]\n");
    for key in keys::OBSERVER {
        let shown = key.shown_value().map_or_else(|| "\"\"".into(), |value| value.toml());
        let name = key.path.strip_prefix("observers.").unwrap_or(key.path);
        let mut doc = String::new();
        wrap(&format!("{} It is {}.", key.doc, key.kind.expects()), &mut doc);
        doc.lines().for_each(|line| _ = writeln!(out, "#     {line}"));
        let _ = writeln!(out, "#     {name} = {}", shown.replace("$${", "${"));
    }
}

fn describe(key: &Key, out: &mut String) {
    let wanted = match key.state {
        State::Built | State::NoFeature(_) => "",
        State::NotYet(_) => " (Not in this build.)",
    };
    wrap(&format!("{}{wanted}", key.doc), out);
    if !matches!(key.kind, super::value::Kind::Bool) {
        wrap(&format!("It is {}.", key.kind.expects()), out);
    }
    if !key.standard.is_empty() {
        let names: Vec<&str> = key.standard.iter().map(|standard| standard.name).collect();
        wrap(&format!("Also set by {}.", names.join(", ")), out);
    }
    let shown = key.shown_value().map_or_else(|| "\"\"".into(), |value| value.toml());
    // An example may contain a variable, so undo the escaping of `${`.
    let _ = writeln!(out, "#{} = {}\n", key.name(), shown.replace("$${", "${"));
}

/// Writes the text as comment lines of at most 110 columns.
fn wrap(text: &str, out: &mut String) {
    let mut line = String::from("#");
    for word in text.split(' ') {
        if line.len() + 1 + word.len() > 110 {
            let _ = writeln!(out, "{line}");
            line = "#".into();
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(out, "{line}");
}
