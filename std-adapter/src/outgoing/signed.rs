//! Requests with a signature, by which a receiver knows who has sent them.

use super::retried;
use std::fmt;
use std::path::Path;
use throughline_export::otlp::ConfigError;
use throughline_export::{Deadline, ExportError, Post, PushUrlError};

/// Posts bodies to a URL that is taken for a secret, at an address that is public unless others are allowed.
#[derive(Clone)]
pub(crate) struct SignedPost {
    post: Post,
    key: Option<ring::hmac::Key>,
}

/// Leaves out the key.
impl fmt::Debug for SignedPost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedPost").field("post", &self.post).finish_non_exhaustive()
    }
}

impl SignedPost {
    /// Posts to this URL; see [`Post::new`].
    pub(crate) fn new(
        what: &'static str,
        url: &str,
        example: &'static str,
    ) -> Result<SignedPost, PushUrlError> {
        let post = Post::secret(what, url, example)?.retry(retried).public_only();
        Ok(SignedPost { post, key: None })
    }

    /// Signs each request with this secret.
    pub(crate) fn secret(self, secret: impl AsRef<[u8]>) -> SignedPost {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_ref());
        SignedPost { key: Some(key), ..self }
    }

    /// Adds a header to each request.
    pub(crate) fn header(self, name: impl Into<String>, value: impl Into<String>) -> SignedPost {
        SignedPost { post: self.post.header(name, value), ..self }
    }

    /// Trusts a receiver whose certificate is signed by an authority in this PEM file, instead of by one in Mozilla's list.
    pub(crate) fn ca_certificate(self, path: impl AsRef<Path>) -> Result<SignedPost, ConfigError> {
        Ok(SignedPost { post: self.post.ca_certificate(path)?, ..self })
    }

    /// Takes addresses that are not public too.
    pub(crate) fn allow_private(self) -> SignedPost {
        SignedPost { post: self.post.any_address(), ..self }
    }

    /// Posts a body of this second since 1970, again and again until the deadline.
    #[cfg(any(feature = "alerts", feature = "observers"))]
    pub(crate) fn send(&self, body: &str, unix_seconds: u64, deadline: &Deadline) -> Result<(), ExportError> {
        let signature = self.signature(body, unix_seconds);
        let headers = listed(&signature);
        self.post.send("", "application/json", &headers, body.as_bytes(), deadline).map(drop)
    }

    /// Posts a body of this type once.
    #[cfg(feature = "events")]
    pub(crate) fn send_once(
        &self,
        body: &str,
        content_type: &str,
        unix_seconds: u64,
        headers: &[(&str, &str)],
        deadline: &Deadline,
    ) -> Result<(), ExportError> {
        let signature = self.signature(body, unix_seconds);
        let headers = [headers, &listed(&signature)].concat();
        self.post.send_once("", content_type, &headers, body.as_bytes(), deadline).map(drop)
    }

    /// The headers that sign the body, if there is a secret.
    fn signature(&self, body: &str, unix_seconds: u64) -> Vec<(&'static str, String)> {
        let Some(key) = &self.key else { return Vec::new() };
        let timestamp = unix_seconds.to_string();
        let tag = ring::hmac::sign(key, format!("{timestamp}.{body}").as_bytes());
        let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        vec![("x-throughline-timestamp", timestamp), ("x-throughline-signature", format!("sha256={digits}"))]
    }
}

fn listed<'h>(headers: &'h [(&'static str, String)]) -> Vec<(&'h str, &'h str)> {
    headers.iter().map(|(name, value)| (*name, &**value)).collect()
}
