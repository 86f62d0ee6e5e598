//! Configuration of OTLP: for each signal an address, a protocol, headers, time limits, compression and certificates.

use super::compress::Compression;
use super::encode::Histograms;
use super::protocol::{Protocol, Signal};
use super::temporality::Temporality;
use super::tls::Tls;
use super::token::Token;
use super::url::{appended, check_url, origin};
use crate::SpoolConfig;
use crate::log::Filter;
use crate::text::{masked_url, with_small_scheme};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How to reach a collector over OTLP, for each signal.
///
/// Every setter applies to all three signals; [`with_signal`](Self::with_signal) takes the settings of one signal from another configuration.
///
/// ```
/// use std::time::Duration;
/// use throughline_export::otlp::{ClientConfig, Signal};
/// let logs = ClientConfig::at("http://logs.internal:8080/in?tenant=shop")?.header("x-key", "k1");
/// let config = ClientConfig::new("http://collector:4318")?
///     .timeout(Duration::from_secs(5))
///     .with_signal(Signal::Logs, &logs);
/// assert_eq!(config.url(Signal::Traces), "http://collector:4318/v1/traces");
/// assert_eq!(config.url(Signal::Logs), "http://logs.internal:8080/in?tenant=shop");
/// assert!(ClientConfig::new("collector:4318").is_err(), "no scheme");
/// # Ok::<(), throughline_export::otlp::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClientConfig {
    targets: Box<[Target; 3]>,
    pub(super) first_backoff: Duration,
    spool: Option<SpoolConfig>,
    pub(super) temporality: Temporality,
    pub(super) histograms: Histograms,
    /// `None` takes everything.
    pub(super) log_filter: Option<Filter>,
}

/// The destination of one signal.
#[derive(Clone)]
pub(super) struct Target {
    endpoint: String,
    /// Whether the paths of the signals are appended to `endpoint`.
    is_base: bool,
    /// Derived from the endpoint, the signal and the protocol.
    pub(super) url: String,
    pub(super) protocol: Protocol,
    pub(super) headers: Vec<(String, String)>,
    pub(super) tokens: Vec<(String, Arc<Token>)>,
    pub(super) timeout: Duration,
    pub(super) retry_for: Duration,
    pub(super) compression: Compression,
    #[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "nothing can be set in it"))]
    pub(super) tls: Tls,
    is_on: bool,
}

impl Target {
    /// Whether the collector may have closed the connection because the client presented no certificate.
    pub(super) fn is_closed_for_want_of_identity(&self, kind: std::io::ErrorKind) -> bool {
        use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        let is_closed = [BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof].contains(&kind);
        is_closed && self.url.starts_with("https:") && !self.tls.has_identity()
    }
}

/// Headers and queries may hold secrets, so their values are not shown.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tokens = self.tokens.iter().map(|(name, _)| name);
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).chain(tokens).collect();
        f.debug_struct("Target")
            .field("url", &masked_url(&self.url))
            .field("protocol", &self.protocol)
            .field("headers", &names)
            .field("timeout", &self.timeout)
            .field("retry_for", &self.retry_for)
            .field("compression", &self.compression)
            .field("tls", &self.tls)
            .field("is_on", &self.is_on)
            .finish()
    }
}

/// The configuration cannot work.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The endpoint is not `http://host:port` or `https://host:port`.
    #[error("OTLP endpoint `{url}` {reason}; give one such as http://localhost:4318")]
    Url {
        /// As given, without credentials and the values of its query.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An https endpoint, but TLS is not compiled in.
    #[error("OTLP endpoint `{url}` wants TLS; build throughline-std with the feature `tls`, or use http://")]
    NoTls {
        /// As given, without credentials and the values of its query.
        url: String,
    },
    /// The requested feature is not compiled in.
    #[error("{what} is asked for but not built in; build throughline-std with the feature `{feature}`")]
    NotBuilt {
        /// What was asked for.
        what: String,
        /// The feature that contains it.
        feature: &'static str,
    },
    /// The file with certificates or a key cannot be used.
    #[error("`{path}` cannot be used: {reason}; {advice}")]
    Certificate {
        /// As given.
        path: String,
        /// What is wrong with it.
        reason: String,
        /// What to give.
        advice: &'static str,
    },
    /// A name that is not known.
    #[error("{what} `{value}` is not known; use {expected}")]
    Value {
        /// The setting.
        what: &'static str,
        /// As given.
        value: String,
        /// The values that are known.
        expected: &'static str,
    },
}

crate::__debug_as_display!(ConfigError);

impl ClientConfig {
    /// For a collector at `base`: scheme, host and port, optionally with a path and a query. `/v1/traces` and so on are appended to the path, and the
    /// query is kept; with gRPC, only scheme, host and port are used. The defaults are ten seconds per request and retries for up to a minute.
    ///
    /// # Errors
    ///
    /// Fails if `base` is not such a URL, if its port is invalid, or if it is https and TLS is not built in.
    pub fn new(base: &str) -> Result<ClientConfig, ConfigError> {
        Self::of(base, true)
    }

    /// For exactly this URL, whatever the signal. It is usually passed to [`with_signal`](Self::with_signal).
    ///
    /// # Errors
    ///
    /// The same as for [`new`](Self::new).
    pub fn at(url: &str) -> Result<ClientConfig, ConfigError> {
        Self::of(url, false)
    }

    fn of(endpoint: &str, is_base: bool) -> Result<ClientConfig, ConfigError> {
        let endpoint = with_small_scheme(endpoint).into_owned();
        check_url(&endpoint)?;
        let target = Target {
            endpoint,
            is_base,
            url: String::new(),
            protocol: Protocol::default(),
            headers: Vec::new(),
            tokens: Vec::new(),
            timeout: Duration::from_secs(10),
            retry_for: Duration::from_secs(60),
            compression: Compression::None,
            tls: Tls::default(),
            is_on: true,
        };
        let config = ClientConfig {
            targets: Box::new(Signal::ALL.map(|_| target.clone())),
            first_backoff: Duration::from_millis(500),
            spool: None,
            temporality: Temporality::default(),
            histograms: Histograms::default(),
            log_filter: None,
        };
        Ok(config.with_urls())
    }

    /// This configuration, with the settings of `signal` from `other`.
    #[must_use]
    pub fn with_signal(mut self, signal: Signal, other: &ClientConfig) -> Self {
        self.targets[signal as usize] = other.targets[signal as usize].clone();
        self
    }

    /// Does not send `signal`, which then has no queue, no thread and no counts.
    #[must_use]
    pub fn without_signal(mut self, signal: Signal) -> Self {
        self.targets[signal as usize].is_on = false;
        self
    }

    /// Whether `signal` is sent.
    pub fn sends(&self, signal: Signal) -> bool {
        self.targets[signal as usize].is_on
    }

    /// Uses this protocol.
    ///
    /// # Errors
    ///
    /// Fails if the protocol is not built in.
    pub fn protocol(mut self, protocol: Protocol) -> Result<Self, ConfigError> {
        let protocol = protocol.check()?;
        for target in &mut *self.targets {
            let is_https = target.endpoint.starts_with("https:");
            if protocol == Protocol::Grpc && is_https && !cfg!(feature = "grpc-tls") {
                let what = format!("gRPC over TLS, to {}", masked_url(&target.endpoint));
                return Err(ConfigError::NotBuilt { what, feature: "grpc-tls" });
            }
            target.protocol = protocol;
        }
        Ok(self.with_urls())
    }

    /// Adds a header to every request, such as an API key. Over gRPC it is metadata.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let header = (name.into(), value.into());
        self.each(|target| target.headers.push(header.clone()));
        self
    }

    /// Limits one attempt at a request, from connecting to the last byte of the answer.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.each(|target| target.timeout = timeout);
        self
    }

    /// Limits the time for all attempts at one request together; zero means a single attempt. While the collector asks for a longer pause with
    /// `Retry-After`, it gets no requests, and each batch is given up at this limit and counted as `unreachable`.
    #[must_use]
    pub fn retry_for(mut self, limit: Duration) -> Self {
        self.each(|target| target.retry_for = limit);
        self
    }

    /// Sets the first pause between attempts. Each pause is twice the one before, at most 5 s, and is then shortened at random by up to half.
    #[must_use]
    pub fn first_backoff(mut self, pause: Duration) -> Self {
        self.first_backoff = pause;
        self
    }

    /// Sends counters and histograms as totals since the start (the default), or as deltas.
    #[must_use]
    pub fn temporality(mut self, temporality: Temporality) -> Self {
        self.temporality = temporality;
        self
    }

    /// Sends histograms as exponential ones, as they are counted (the default), or with explicit bounds.
    #[must_use]
    pub fn histograms(mut self, histograms: Histograms) -> Self {
        self.histograms = histograms;
        self
    }

    /// Sends only the log records that `filter` takes. The default is all of them.
    #[must_use]
    pub fn log_filter(mut self, filter: Filter) -> Self {
        self.log_filter = Some(filter).filter(|filter| *filter != Filter::all());
        self
    }

    /// Keeps batches on disk that cannot be delivered, and delivers them later, in order, if necessary in the next run of the program. With a spool,
    /// a request is tried once before it is spooled; then the spool is retried with growing pauses, without a limit of time. A
    /// [`Client`](super::Client) by itself does not use the spool.
    #[must_use]
    pub fn spool(mut self, spool: SpoolConfig) -> Self {
        self.spool = Some(spool);
        self
    }

    /// The folders of the spools of the signals that are sent, for an exporter of this name.
    pub fn spool_folders(&self, name: &str) -> Vec<PathBuf> {
        let sent = Signal::ALL.into_iter().filter(|signal| self.sends(*signal));
        sent.filter_map(|signal| Some(self.spool_of(&lane_name(name, signal))?.dir)).collect()
    }

    /// The spool of the lane with this name, in its own folder.
    pub(super) fn spool_of(&self, name: &str) -> Option<SpoolConfig> {
        let spool = self.spool.as_ref()?;
        // Slashes in the name must not create nested folders.
        let name = name.replace(['/', '\\'], "_");
        Some(SpoolConfig { dir: spool.dir.join(name), ..spool.clone() })
    }

    /// Compresses bodies.
    ///
    /// # Errors
    ///
    /// Fails if the compression is not built in.
    pub fn compression(mut self, compression: Compression) -> Result<Self, ConfigError> {
        let compression = compression.check()?;
        self.each(|target| target.compression = compression);
        Ok(self)
    }

    /// Trusts collectors whose certificate is signed by an authority in this PEM file, instead of by one in Mozilla's list. Use it for a private
    /// authority or a self-signed certificate.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read or has no certificate, or if TLS is not built in.
    pub fn ca_certificate(mut self, path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let mut tls = self.targets[0].tls.clone();
        tls.trust_file(path.as_ref())?;
        self.each(|target| target.tls.trust_as(&tls));
        Ok(self)
    }

    /// Trusts the authorities that the operating system trusts, instead of Mozilla's list. `SSL_CERT_FILE` and `SSL_CERT_DIR` can name other ones.
    /// Needs the feature `system-roots`.
    ///
    /// # Errors
    ///
    /// Fails if the system has no authorities, or if the feature is not built in.
    pub fn system_roots(mut self) -> Result<Self, ConfigError> {
        let mut tls = self.targets[0].tls.clone();
        tls.trust_system()?;
        self.each(|target| target.tls.trust_as(&tls));
        Ok(self)
    }

    /// Presents the certificate in this PEM file to a collector that requires one (mutual TLS). The file may also contain intermediate certificates.
    /// The key is the certificate's private key, as PEM without a passphrase.
    ///
    /// # Errors
    ///
    /// Fails if one of the files cannot be used, or if TLS is not built in.
    pub fn client_certificate(
        mut self,
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, ConfigError> {
        let mut tls = self.targets[0].tls.clone();
        tls.identify(certificate.as_ref(), key.as_ref())?;
        self.each(|target| target.tls.identify_as(&tls));
        Ok(self)
    }

    /// For profiles instead of these signals: each of them then goes to the place of profiles.
    ///
    /// # Errors
    ///
    /// Profiles have no form in JSON here.
    pub(crate) fn of_profiles(mut self) -> Result<Self, ConfigError> {
        const METHOD: &str = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export";
        for target in &mut *self.targets {
            target.url = match target.protocol {
                Protocol::Grpc => format!("{}{METHOD}", origin(&target.endpoint)),
                Protocol::HttpJson => {
                    let (what, expected) = ("the protocol of profiles", "http/protobuf or grpc");
                    return Err(ConfigError::Value {
                        what,
                        value: target.protocol.as_str().into(),
                        expected,
                    });
                }
                _ if target.is_base => appended(&target.endpoint, "v1development/profiles"),
                _ => target.endpoint.clone(),
            };
        }
        Ok(self.header("otlp-profiles-development-version", "1"))
    }

    /// The URL to which `signal` is sent.
    pub fn url(&self, signal: Signal) -> &str {
        &self.target(signal).url
    }

    pub(super) fn target(&self, signal: Signal) -> &Target {
        &self.targets[signal as usize]
    }

    pub(super) fn each(&mut self, change: impl FnMut(&mut Target)) {
        self.targets.iter_mut().for_each(change);
    }

    fn with_urls(mut self) -> Self {
        for (signal, target) in Signal::ALL.into_iter().zip(&mut *self.targets) {
            target.url = match target.protocol {
                Protocol::Grpc => format!("{}{}", origin(&target.endpoint), signal.method()),
                _ if target.is_base => appended(&target.endpoint, &format!("v1/{}", signal.as_str())),
                _ => target.endpoint.clone(),
            };
        }
        self
    }
}

/// The name of a signal's lane in the ledger, and of its thread.
pub(super) fn lane_name(name: &str, signal: Signal) -> String {
    format!("{name}.{}", signal.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let config = ClientConfig::new("http://a/?key=hunter2").unwrap().header("authorization", "hunter3");
        let text = format!("{config:?}");
        assert!(text.contains("authorization") && !text.contains("hunter"), "{text}");
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            assert_eq!(compression.as_str().parse(), Ok(compression));
        }
        for protocol in [Protocol::HttpProtobuf, Protocol::HttpJson, Protocol::Grpc] {
            assert_eq!(protocol.as_str().parse(), Ok(protocol));
        }
        let error = "lz4".parse::<Compression>().unwrap_err().to_string();
        assert_eq!(error, "compression `lz4` is not known; use none, gzip or zstd");
    }
}
