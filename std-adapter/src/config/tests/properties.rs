//! Properties that hold for any file.

use super::{errors, of_text, toml};
use crate::config::key::State;
use crate::config::keys;
use crate::config::node::Language;
use crate::config::value::{Kind, Value};
use proptest::prelude::*;
use std::time::Duration;

/// Any value of the kind.
fn any_value(kind: Kind) -> BoxedStrategy<Value> {
    let text = "[ -~éλ\n\t]{0,20}";
    let name = "[a-z.\"]{1,8}";
    let pairs =
        prop::collection::btree_map(name, text, 0..4).prop_map(|map| map.into_iter().collect::<Vec<_>>());
    match kind {
        Kind::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        // TOML's integers have the range of `i64`.
        Kind::Int { least, most } => (least..=most.min(i64::MAX as u64)).prop_map(Value::Int).boxed(),
        Kind::Amount => (0.0..=1e9).prop_map(Value::Float).boxed(),
        Kind::Ratio => (0.0..=1.0).prop_map(Value::Float).boxed(),
        Kind::Duration => any::<u64>().prop_map(|ns| Value::Duration(Duration::from_nanos(ns))).boxed(),
        Kind::Size => any::<u64>().prop_map(Value::Size).boxed(),
        Kind::Text => text.prop_map(Value::Text).boxed(),
        Kind::Path => "/[!-~]{1,20}".prop_map(Value::Text).boxed(),
        // Ports of at most four digits that begin with 1 to 4 are none of Jaeger's old ports.
        Kind::Url => "https?://[a-z]{1,8}(:[1-4][0-9]{0,3})?(/[!-z]{0,8})?".prop_map(Value::Text).boxed(),
        Kind::Secret => text.prop_map(Value::Secret).boxed(),
        Kind::OneOf(words) => prop::sample::select(words).prop_map(|word| Value::Text(word.into())).boxed(),
        Kind::List([]) => prop::collection::vec(text, 0..4).prop_map(Value::List).boxed(),
        Kind::List(words) => {
            prop::sample::select(words).prop_map(|word| Value::List(vec![word.into()])).boxed()
        }
        Kind::Map => pairs.prop_map(Value::Map).boxed(),
        Kind::SecretMap => pairs.prop_map(Value::SecretMap).boxed(),
    }
}

/// Values for some of the keys whose features are built.
fn any_settings() -> impl Strategy<Value = Vec<(&'static str, Value)>> {
    let built: Vec<_> = keys::all().filter(|key| key.state == State::Built).collect();
    prop::sample::subsequence(built, 0..12).prop_flat_map(|keys| {
        keys.into_iter()
            .map(|key| any_value(key.kind).prop_map(move |value| (key.path, value)))
            .collect::<Vec<_>>()
    })
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(settings in any_settings()) {
        let text: String = settings.iter().map(|(path, value)| format!("{path} = {}\n", value.toml())).collect();
        let config = of_text(&text, Language::Toml, &[]);
        for (path, value) in &settings {
            let read = config.settings.get(path).map(|setting| &setting.value);
            prop_assert_eq!(read, Some(value), "{}\n{:?}", text, errors(&config));
        }
        // Read the output of `explain` too, without the masked values.
        let printed: Vec<String> = config.explain().iter().map(ToString::to_string).collect();
        let shown: String = printed.iter().filter(|line| !line.contains("[REDACTED]")).map(|line| format!("{line}\n")).collect();
        let again = of_text(&shown, Language::Toml, &[]);
        for (path, value) in &settings {
            if let Some(setting) = again.settings.get(path) {
                prop_assert_eq!(&setting.value, value, "{}", shown);
            }
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,200}", yaml in any::<bool>()) {
        let language = if yaml { Language::Yaml } else { Language::Toml };
        _ = errors(&of_text(&text, language, &[]));
    }

    #[test]
    fn no_file_that_is_nearly_right_panics(
        cut in any::<prop::sample::Index>(), put in "[\\[\\]{}:\"'&*!|>\n #=,a0.$-]{0,6}", yaml in any::<bool>(),
    ) {
        let (language, text) = if yaml {
            (Language::Yaml, "service: &a\n  name: 'x'\n  attributes: {a: b, c: [1]}\notlp:\n  headers:\n    k: |\n      v\n  endpoint: http://a:4318\ntracing: *a\n")
        } else {
            (Language::Toml, "[service]\nname = \"x\"\nattributes.a.b = '''c'''\n[otlp]\nheaders = { k = \"${V:-v}\" }\ntimeout = 10\n[[tracing.exporters]]\ntype = \"otlp\"\n")
        };
        let at = cut.index(text.len());
        _ = errors(&of_text(&format!("{}{put}{}", &text[..at], &text[at..]), language, &[("V", "x")]));
        _ = errors(&of_text(&format!("{}{put}", &text[..at]), language, &[]));
    }

    #[test]
    fn no_variable_panics(text in "\\PC{0,40}") {
        for key in keys::all() {
            _ = key.kind.read(&text);
            for standard in key.standard {
                _ = (standard.translate)(&text);
            }
        }
    }
}

#[test]
fn an_empty_file_changes_nothing() {
    assert_eq!(toml("").explain(), super::bare(&[]).explain());
    assert_eq!(errors(&of_text("", Language::Yaml, &[])), Vec::<String>::new());
    assert_eq!(errors(&of_text("# nothing\n---\n", Language::Yaml, &[])), Vec::<String>::new());
}
