//! Posts one body after another to a URL, and tries again until a deadline.

use crate::http::{asked_pause, client_with, parse_retry_after, read_body};
use crate::ledger::DropReason;
use crate::otlp::{ConfigError, Tls};
use crate::push::PushUrlError;
use crate::text::{escaped, masked_url, said_without};
use crate::{Deadline, ExportError, REDACTED};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

/// Longest time that an attempt may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause before the second attempt; each later one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause that is not asked for.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Most bytes of an answer that are read.
const ANSWER_LIMIT: u64 = 4096;

/// Why a body was not taken now, and the pause that the server asked for.
type Later = (String, Option<Duration>);

/// A URL that requests can be sent to, without slashes at its end. `example` is one.
pub(crate) fn checked_url(url: &str, example: &'static str) -> Result<String, PushUrlError> {
    let parsed = url.trim().parse::<Uri>().ok();
    let parsed = parsed.filter(|uri| uri.host().is_some_and(|host| !host.is_empty()));
    match parsed.as_ref().and_then(|uri| uri.scheme_str()) {
        Some("https") if !cfg!(feature = "tls") => Err(PushUrlError::NoTls(shown(url))),
        Some("http" | "https") => Ok(url.trim().trim_end_matches('/').to_owned()),
        _ => Err(PushUrlError::Url(shown(url), example)),
    }
}

/// Posts bodies to one URL. It waits on the calling thread, and follows no redirect. `Debug` and messages show no header, and of the URL no more than
/// [`masked_url`] does.
///
/// ```no_run
/// use std::time::Duration;
/// use throughline_export::{Deadline, Post};
/// let post = Post::new("a notice", "http://localhost:8080/hook", "https://example.org/hook")?;
/// post.send("", "application/json", &[], b"{}", &Deadline::within(Duration::from_secs(30)))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Post {
    agent: ureq::Agent,
    tls: Tls,
    /// Whether addresses that are not public are refused.
    is_public_only: bool,
    /// What a body is called in messages.
    what: &'static str,
    url: String,
    headers: Vec<(String, String)>,
    /// Whether the path of the URL must not be shown.
    is_secret: bool,
    /// Whether a body is sent again after this status.
    retried: fn(u16) -> bool,
    /// What to do about statuses beside those that all servers have.
    hint: fn(u16) -> Option<&'static str>,
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Post").field("url", &self.shown()).finish_non_exhaustive()
    }
}

impl Post {
    /// Posts to this URL. `what` is what a body is called in messages, such as `a notice`, and `example` a valid URL.
    ///
    /// # Errors
    ///
    /// It is no URL, or wants TLS that is not built in.
    pub fn new(what: &'static str, url: &str, example: &'static str) -> Result<Post, PushUrlError> {
        let url = checked_url(url, example)?;
        let tls = Tls::default();
        let agent = client_with(&tls).build().new_agent();
        let retried = |status| matches!(status, 429 | 502 | 503 | 504);
        let (headers, is_public_only, is_secret) = (Vec::new(), false, false);
        Ok(Post { agent, tls, is_public_only, what, url, headers, is_secret, retried, hint: |_| None })
    }

    /// As [`Post::new`], for a URL by which whoever knows it may post: messages show no more of it than its host and port.
    ///
    /// # Errors
    ///
    /// As for [`Post::new`]; they show nothing of the URL.
    pub fn secret(what: &'static str, url: &str, example: &'static str) -> Result<Post, PushUrlError> {
        match Post::new(what, url, example) {
            Ok(post) => Ok(Post { is_secret: true, ..post }),
            Err(PushUrlError::Url(_, example)) => Err(PushUrlError::Url(REDACTED.into(), example)),
            Err(PushUrlError::NoTls(_)) => Err(PushUrlError::NoTls(REDACTED.into())),
        }
    }

    /// Adds this path to a URL that has none.
    #[must_use]
    pub fn path(mut self, path: &str) -> Post {
        let has_path =
            self.url.parse::<Uri>().is_ok_and(|uri| !matches!(uri.path(), "" | "/") || uri.query().is_some());
        if !has_path {
            self.url.push_str(path);
        }
        self
    }

    /// Adds a header to each request, such as `authorization`.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Post {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Trusts a server whose certificate is signed by an authority in this PEM file, instead of by one in Mozilla's list.
    ///
    /// # Errors
    ///
    /// The file cannot be read or has no certificate, or TLS is not built in.
    pub fn ca_certificate(mut self, path: impl AsRef<Path>) -> Result<Post, ConfigError> {
        self.tls.trust_file(path.as_ref())?;
        Ok(self.with_agent())
    }

    /// Sends a body again after these statuses. The default is those that say so: 429, 502, 503, 504.
    #[must_use]
    pub fn retry(self, after: fn(u16) -> bool) -> Post {
        Post { retried: after, ..self }
    }

    /// What messages advise about a status; `None` where there is nothing special.
    #[must_use]
    pub fn hint(self, hint: fn(u16) -> Option<&'static str>) -> Post {
        Post { hint, ..self }
    }

    /// Refuses addresses that are not public: loopback, private networks, link-local ones, and others of special purpose. A name is looked up once, and
    /// what was checked is connected to. Behind a proxy of the environment, names are the proxy's matter.
    #[must_use]
    pub fn public_only(self) -> Post {
        Post { is_public_only: true, ..self }.with_agent()
    }

    /// Takes all addresses, after [`Post::public_only`].
    #[must_use]
    pub fn any_address(self) -> Post {
        Post { is_public_only: false, ..self }.with_agent()
    }

    /// Makes the agent anew, from what was chosen.
    fn with_agent(self) -> Post {
        let config = client_with(&self.tls).build();
        let agent = match self.is_public_only {
            true => {
                let resolver = PublicOnly(DefaultResolver::default());
                ureq::Agent::with_parts(config, DefaultConnector::default(), resolver)
            }
            false => config.new_agent(),
        };
        Post { agent, ..self }
    }

    /// The URL as it is shown in messages.
    pub fn shown(&self) -> String {
        match self.url.parse::<Uri>() {
            Ok(uri) if self.is_secret => {
                let (scheme, host) = (uri.scheme_str().unwrap_or_default(), uri.host().unwrap_or_default());
                let port = uri.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
                format!("{scheme}://{}{port}/{REDACTED}", escaped(host))
            }
            _ => shown(&self.url),
        }
    }

    /// Sends a body to the URL with this after it, and tries again until the deadline. Returns the first 4096 bytes of the answer.
    ///
    /// # Errors
    ///
    /// Why the body was not taken, and what can be done.
    pub fn send(
        &self,
        more: &str,
        content_type: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        deadline: &Deadline,
    ) -> Result<Vec<u8>, ExportError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let (why, after) = match self.attempt(more, content_type, headers, body, deadline)? {
                Ok(answer) => return Ok(answer),
                Err(later) => later,
            };
            if !deadline.pause(asked_pause(after).unwrap_or(pause)) {
                return Err(ExportError::new(DropReason::Unreachable, 1, why));
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// As [`Post::send`], with one attempt alone. A receiver that may take the body later is [`DropReason::Unreachable`].
    ///
    /// # Errors
    ///
    /// Why the body was not taken, and what can be done.
    pub fn send_once(
        &self,
        more: &str,
        content_type: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        deadline: &Deadline,
    ) -> Result<Vec<u8>, ExportError> {
        let sent = self.attempt(more, content_type, headers, body, deadline)?;
        sent.map_err(|(why, asked)| ExportError::new(DropReason::Unreachable, 1, why).retry_after(asked))
    }

    /// The outer error is for ever; the inner one may be over at the next attempt, after the pause that was asked for.
    fn attempt(
        &self,
        more: &str,
        content_type: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        deadline: &Deadline,
    ) -> Result<Result<Vec<u8>, Later>, ExportError> {
        let (peer, what) = (self.shown(), self.what);
        let never = |why: String| Err(ExportError::new(DropReason::Refused, 1, why));
        let Some(timeout) = deadline.left_of(PATIENCE) else {
            return Ok(Err((format!("{peer} did not take {what}: the deadline had passed"), None)));
        };
        let url = format!("{}{more}", self.url);
        let request = self.agent.post(&url).config().timeout_global(Some(timeout)).build();
        let own = self.headers.iter().map(|(name, value)| (&**name, &**value));
        let request =
            own.chain(headers.iter().copied()).fold(request, |it, (name, value)| it.header(name, value));
        let mut response = match request.content_type(content_type).send(body) {
            Ok(response) => response,
            Err(ureq::Error::Io(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
                return never(format!("{what} was not sent to {peer}: {error}"));
            }
            Err(error) => {
                // The library may quote the URL.
                let text = error.to_string().replace(&url, &peer).replace(&self.url, &peer);
                if matches!(error, ureq::Error::Http(_) | ureq::Error::BadUri(_)) {
                    return never(format!(
                        "no request to {peer} can be made: {text}; check the URL and the headers"
                    ));
                }
                let hint = match text.contains("certificate") {
                    true => "check its name and dates, and the authority that signed it",
                    false => "check that it listens there",
                };
                return Ok(Err((format!("{peer} did not take {what}: {text}; {hint}"), None)));
            }
        };
        let status = response.status().as_u16();
        let after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let after = after.and_then(parse_retry_after);
        let (answer, whole) = read_body(&mut response, ANSWER_LIMIT);
        if (200..300).contains(&status) {
            return Ok(whole.map(|()| answer).map_err(|why| {
                (format!("it is not known whether {peer} took {what}: status {status}, but {why}"), None)
            }));
        }
        let said = said_without(&answer, self.headers.iter().map(|(_, value)| &**value));
        if (self.retried)(status) {
            return Ok(Err((format!("{peer} did not take {what}: status {status} {said}"), after)));
        }
        let hint = (self.hint)(status).unwrap_or(match status {
            300..=399 => "it sends elsewhere; write the URL that it names",
            401 | 403 => "set the credentials that it wants",
            404 | 405 => "check the port and the path",
            _ => "see its log",
        });
        never(format!("{peer} answered {status} ({said}): {hint}"))
    }
}

/// The URL as it is shown in messages.
fn shown(url: &str) -> String {
    escaped(&masked_url(url)).into_owned()
}

/// Finds addresses that are public.
#[derive(Debug)]
struct PublicOnly(DefaultResolver);

impl Resolver for PublicOnly {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.0.resolve(uri, config, timeout)?;
        match found.iter().find(|address| !is_public(address.ip())) {
            None => Ok(found),
            Some(address) => {
                let text = format!(
                    "{} is no public address; if it is meant, set allow_private = true",
                    address.ip()
                );
                Err(ureq::Error::Io(io::Error::new(io::ErrorKind::PermissionDenied, text)))
            }
        }
    }
}

/// Whether an address is of the public Internet. Source: IANA's registries of special-purpose addresses.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => {
            let [first, second, .., seventh, eighth] = ip.segments();
            let within = Ipv4Addr::from(u32::from(seventh) << 16 | u32::from(eighth));
            match (first, second) {
                _ if ip.to_ipv4_mapped().is_some() => is_public_v4(within),
                // IPv4 addresses behind a translator (NAT64), and 6to4.
                (0x64, 0xff9b) => is_public_v4(within),
                (0x2002, high) => {
                    is_public_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(ip.segments()[2])))
                }
                (0x2001, 0..=0x1ff | 0xdb8) => false,
                // All that is given out is in 2000::/3.
                _ => first & 0xe000 == 0x2000,
            }
        }
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let is_special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224..=255, ..)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !is_special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_not_public() {
        for ip in
            ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
        {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in [
            "127.0.0.1",
            "10.1.2.3",
            "192.168.0.1",
            "172.20.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001:db8::1",
        ] {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let post = Post::secret("a notice", "http://h/services/T0/B0/hunter2", "").unwrap();
        assert_eq!(post.shown(), "http://h/[REDACTED]");
        assert!(!format!("{:?}", post.header("authorization", "hunter2")).contains("hunter2"));
        let told = Post::secret("a notice", "h/services/hunter2", "http://h").unwrap_err().to_string();
        assert_eq!(told, "`[REDACTED]` is not an http:// or https:// URL; give one such as http://h");
        let told = Post::new("a notice", "ftp://u:hunter2@h", "http://h").unwrap_err().to_string();
        assert!(!told.contains("hunter2") && told.contains("http://h"), "{told}");
        assert_eq!(Post::new("a", "http://h/", "").unwrap().path("/x").url, "http://h/x");
        assert_eq!(Post::new("a", "http://h/y/", "").unwrap().path("/x").url, "http://h/y");
    }

    #[test]
    fn private_addresses_are_refused_before_anything_is_sent() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        for host in ["127.0.0.1", "localhost"] {
            let url = format!("http://{host}:{}", listener.local_addr().unwrap().port());
            let post = Post::new("a notice", &url, "").unwrap().public_only();
            let error = post
                .send("", "text/plain", &[], b"x", &Deadline::within(Duration::from_secs(30)))
                .unwrap_err();
            assert_eq!(error.reason, DropReason::Refused);
            assert!(error.message.contains("is no public address"), "{}", error.message);
        }
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
