//! Tests of the table of keys and of everything that is derived from it.

#[cfg(unix)]
mod collectors;
#[cfg(unix)]
mod errors;
mod layers;
mod mistakes;
mod properties;
mod secrets;
mod shapes;
mod table;
mod variables;

use super::node::Language;
use super::variables::Variables;
use super::{Config, load};
use std::path::Path;

/// The defaults, with these environment variables, which are not read yet.
fn bare(variables: &[(&str, &str)]) -> Config {
    Config::bare("svc", Variables::of(variables.iter().copied()))
}

/// The defaults with the values of a file.
fn of_text(text: &str, language: Language, variables: &[(&str, &str)]) -> Config {
    let mut config = bare(variables);
    let name = match language {
        Language::Toml => "shop.toml",
        Language::Yaml => "shop.yaml",
    };
    let reading = load::read_text(text, language, Path::new(name), &config.variables);
    config.take(reading);
    config
}

/// The defaults with the values of a TOML text, which must have no errors.
fn toml(text: &str) -> Config {
    let config = of_text(text, Language::Toml, &[]);
    assert_eq!(errors(&config), Vec::<String>::new(), "{text}");
    config
}

fn errors(config: &Config) -> Vec<String> {
    let error = config.check().err();
    error.iter().flat_map(|error| error.problems()).map(ToString::to_string).collect()
}

fn warnings(config: &Config) -> Vec<String> {
    config.warnings().iter().map(ToString::to_string).collect()
}

/// The value of a key in TOML's notation.
fn value(config: &Config, key: &str) -> Option<String> {
    config.settings.get(key).map(|setting| setting.value.toml())
}

/// Compares the text with the committed file; `THROUGHLINE_BLESS=1` writes the file.
fn assert_committed(path: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("THROUGHLINE_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "{} is not what the table of keys says; run this test with THROUGHLINE_BLESS=1 and commit the file.\n{text}",
        path.display()
    );
}
