//! Where pages are served, to whom, and the limits of connections.

use super::AdminError;
use super::stream::Identity;
use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

/// Where pages are served, and to whom.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminOptions {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) connections: usize,
    pub(super) request_timeout: Duration,
    pub(super) response_timeout: Duration,
    pub(super) token: Option<String>,
    pub(super) identity: Option<Identity>,
}

impl Default for AdminOptions {
    fn default() -> AdminOptions {
        AdminOptions {
            host: "127.0.0.1".into(),
            port: 8081,
            connections: 32,
            request_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(30),
            token: None,
            identity: None,
        }
    }
}

impl AdminOptions {
    /// Name or address of the host on which to listen. The default is `127.0.0.1`, which only programs on
    /// this machine can reach; `0.0.0.0` means all networks.
    #[must_use]
    pub fn host(self, host: impl Into<String>) -> AdminOptions {
        AdminOptions { host: host.into(), ..self }
    }

    /// The port. The default is 8081; 0 means any free port.
    #[must_use]
    pub fn port(self, port: u16) -> AdminOptions {
        AdminOptions { port, ..self }
    }

    /// Most connections that are open at the same time; the default is 32. If another client comes, the
    /// connection closes that has done nothing for the longest, those that have not sent a request first. Each
    /// connection that takes an answer has a copy of it in memory.
    #[must_use]
    pub fn connections(self, most: usize) -> AdminOptions {
        AdminOptions { connections: most.clamp(1, 1024), ..self }
    }

    /// Longest times until a client has sent its request, and until it has taken the answer; a slower
    /// connection is closed. The defaults are 5 s and 30 s.
    #[must_use]
    pub fn timeouts(self, request: Duration, response: Duration) -> AdminOptions {
        let at_least = Duration::from_millis(1);
        AdminOptions {
            request_timeout: request.max(at_least),
            response_timeout: response.max(at_least),
            ..self
        }
    }

    /// Answers only requests that have this token in the header `Authorization: Bearer …`.
    #[must_use]
    pub fn token(self, token: impl Into<String>) -> AdminOptions {
        AdminOptions { token: Some(token.into()), ..self }
    }

    /// Serves https with this certificate (and those of intermediate authorities behind it) and its key, from PEM files that
    /// are read now.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or used, or when the crate's feature `tls` is off.
    pub fn tls(self, certificate: &Path, key: &Path) -> Result<AdminOptions, AdminError> {
        Ok(AdminOptions { identity: Some(Identity::of_files(certificate, key)?), ..self })
    }

    /// These options, with the token and the certificate of `other` where these have none.
    #[must_use]
    pub fn or_secured_as(self, other: &AdminOptions) -> AdminOptions {
        let token = self.token.or_else(|| other.token.clone());
        AdminOptions { token, identity: self.identity.or_else(|| other.identity.clone()), ..self }
    }

    /// Whether a request with this header `authorization` may be answered. The time that this takes does not depend on where the tokens differ.
    pub(super) fn allows(&self, authorization: &str) -> bool {
        let Some(token) = &self.token else { return true };
        let Some((scheme, given)) = authorization.split_once(' ') else { return false };
        let (given, token) = (given.trim().as_bytes(), token.as_bytes());
        let differ = given.iter().zip(token).fold(0, |differ, (a, b)| differ | (a ^ b));
        scheme.eq_ignore_ascii_case("bearer")
            && given.len() == token.len()
            && std::hint::black_box(differ) == 0
    }

    /// Listens at the address, after the token was checked.
    pub(super) fn listen(&self) -> Result<(TcpListener, SocketAddr), AdminError> {
        let visible = |token: &String| !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
        if !self.token.as_ref().is_none_or(visible) {
            return Err(AdminError::Token);
        }
        let (host, port) = (&*self.host, self.port);
        let listener = TcpListener::bind((host, port));
        let bound = listener.and_then(|listener| listener.local_addr().map(|address| (listener, address)));
        bound.map_err(|source| {
            let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
            AdminError::Bind { address: format!("{host}:{port}"), source }
        })
    }

    /// Whether both name the same host and port.
    #[must_use]
    pub fn is_same_place(&self, other: &AdminOptions) -> bool {
        (&self.host, self.port) == (&other.host, other.port)
    }
}

/// Shows whether there are a token and a certificate, but not what they are.
impl fmt::Debug for AdminOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminOptions")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("connections", &self.connections)
            .field("token", &self.token.is_some())
            .field("tls", &self.identity.is_some())
            .finish_non_exhaustive()
    }
}
