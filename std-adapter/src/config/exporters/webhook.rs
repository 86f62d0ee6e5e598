//! The keys that all webhooks have.

use super::{Keys, Wrong, secret};
use crate::config::problem::{Problem, Problems};
use crate::outgoing::SignedPost;
use throughline_export::PushUrlError;

/// What posts to the URL of a webhook, with the other keys of its section.
pub(super) fn signed(
    keys: &Keys<'_>,
    section: &str,
    url: Result<String, Problem>,
    post: fn(&str) -> Result<SignedPost, PushUrlError>,
) -> Result<SignedPost, Problems> {
    let key = |name: &str| format!("{section}.{name}");
    let mut wrong = Wrong::default();
    let made = |url: String| post(&url).map_err(|error| keys.problem(&key("url"), &error));
    let post = wrong.take(url.and_then(made));
    let secret = wrong.take(secret(keys, &key("secret")));
    let (post, secret) = wrong.or(post.zip(secret))?;
    let mut post = keys.trusting(&key("certificate"), post, |it, path| it.ca_certificate(path))?;
    if keys.is(&key("allow_private")) {
        post = post.allow_private();
    }
    post = secret.into_iter().fold(post, SignedPost::secret);
    let headers = keys.pairs(&key("headers"));
    Ok(headers.into_iter().fold(post, |post, (name, value)| post.header(name, value)))
}
