//! Secrets, which may be in files of their own.

use super::Keys;
use crate::config::problem::Problem;

/// A secret from a key, or from the file that the key with `_file` after it names.
pub(super) fn secret(keys: &Keys<'_>, path: &str) -> Result<Option<String>, Problem> {
    let of_file = format!("{path}_file");
    match (keys.text(path), keys.text(&of_file)) {
        (Some(_), Some(_)) => {
            Err(keys.problem(&of_file, &format!("{path} is given too; remove one of them")))
        }
        (Some(secret), None) => Ok(Some(secret)),
        (None, Some(file)) => match std::fs::read_to_string(&file) {
            Ok(text) if text.trim().is_empty() => Err(keys.problem(
                &of_file,
                &format!("`{file}` is empty; write the secret into it, or remove the key"),
            )),
            Ok(text) => Ok(Some(text.trim().to_owned())),
            Err(error) => Err(keys.problem(
                &of_file,
                &format!("`{file}` cannot be read: {error}; check the path and its permissions"),
            )),
        },
        (None, None) => Ok(None),
    }
}

/// A [`secret`] that its section requires.
#[cfg(any(feature = "alerts", feature = "events"))]
pub(super) fn needed_secret(keys: &Keys<'_>, path: &str) -> Result<String, Problem> {
    secret(keys, path)?.map_or_else(|| keys.needed(path), Ok)
}
