//! Where OTLP goes and how: URLs, headers, time limits, read from OpenTelemetry's environment variables.

use crate::resource::pairs;
use std::time::Duration;

/// What a request carries; each has its own path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Spans, to `/v1/traces`.
    Traces,
    /// Log records, to `/v1/logs`.
    Logs,
    /// Metric points, to `/v1/metrics`.
    Metrics,
}

impl Signal {
    pub(super) const ALL: [Signal; 3] = [Signal::Traces, Signal::Logs, Signal::Metrics];

    /// Its name as in the path, `traces` for one.
    pub const fn as_str(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Logs => "logs",
            Signal::Metrics => "metrics",
        }
    }
}

/// How to reach a collector over OTLP/HTTP with protobuf bodies.
///
/// ```
/// use throughline_export::otlp::{ClientConfig, Signal};
/// let config = ClientConfig::new("http://collector:4318")?;
/// assert_eq!(config.url(Signal::Logs), "http://collector:4318/v1/logs");
/// assert!(ClientConfig::new("collector:4318").is_err(), "no scheme");
/// # Ok::<(), throughline_export::otlp::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClientConfig {
    urls: [String; 3],
    pub(super) headers: Vec<(String, String)>,
    pub(super) timeout: Duration,
    pub(super) retry_for: Duration,
    pub(super) first_backoff: Duration,
    #[cfg_attr(not(feature = "gzip"), allow(dead_code, reason = "refused when it is set"))]
    pub(super) gzip: bool,
    /// Who may sign the collector's certificate; Mozilla's list when it is `None`.
    #[cfg(feature = "tls")]
    pub(super) roots: Option<ureq::tls::RootCerts>,
}

/// The configuration cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The endpoint is not `http://host:port` or `https://host:port`.
    #[error("OTLP endpoint `{url}` is not an http:// URL; give one such as http://localhost:4318")]
    Url {
        /// As given.
        url: String,
    },
    /// An https endpoint, but TLS is not compiled in.
    #[error("OTLP endpoint `{url}` wants TLS; build throughline-std with the feature `tls`, or use http://")]
    NoTls {
        /// As given.
        url: String,
    },
    /// The file of certificates cannot be used.
    #[error(
        "the certificates in `{path}` cannot be used: {reason}; give a PEM file with the certificate of the authority that signed the collector's"
    )]
    Certificate {
        /// As given.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An environment variable asks for what this exporter does not do.
    #[error("{variable}={value}: {hint}")]
    Variable {
        /// Its name.
        variable: String,
        /// Its value.
        value: String,
        /// What to set instead.
        hint: &'static str,
    },
}

impl ClientConfig {
    /// For a collector at `base`, scheme, host and port: `/v1/traces` and so on are appended. Ten seconds per request, retries for up to a minute.
    pub fn new(base: &str) -> Result<ClientConfig, ConfigError> {
        check_url(base)?;
        let base = base.trim_end_matches('/');
        Ok(ClientConfig {
            urls: Signal::ALL.map(|signal| format!("{base}/v1/{}", signal.as_str())),
            headers: Vec::new(),
            timeout: Duration::from_secs(10),
            retry_for: Duration::from_secs(60),
            first_backoff: Duration::from_millis(500),
            gzip: false,
            #[cfg(feature = "tls")]
            roots: None,
        })
    }

    /// From the environment: `OTEL_EXPORTER_OTLP_ENDPOINT` and `…_TRACES_ENDPOINT`, `…_LOGS_ENDPOINT`, `…_METRICS_ENDPOINT` (used as they are),
    /// `OTEL_EXPORTER_OTLP_HEADERS`, `…_TIMEOUT` (milliseconds), `…_COMPRESSION` (`none` or `gzip`), `…_PROTOCOL` (`http/protobuf` alone), `…_CERTIFICATE` (see
    /// `ca_certificate`; read for an https endpoint).
    /// `None` when no endpoint is set.
    pub fn from_env() -> Result<Option<ClientConfig>, ConfigError> {
        Self::from_lookup(&|name| std::env::var(name).ok())
    }

    pub(crate) fn from_lookup(
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<ClientConfig>, ConfigError> {
        let get = |rest: &str| {
            let name = format!("OTEL_EXPORTER_OTLP_{rest}");
            let value = env(&name).filter(|value| !value.trim().is_empty())?;
            Some((name, value.trim().to_owned()))
        };
        let own = Signal::ALL.map(|signal| get(&format!("{}_ENDPOINT", signal.as_str().to_uppercase())));
        let base = get("ENDPOINT");
        if base.is_none() && own.iter().all(Option::is_none) {
            return Ok(None);
        }
        let base = base.map_or_else(|| "http://localhost:4318".to_owned(), |(_, url)| url);
        let mut config = Self::new(&base)?;
        for (url, own) in config.urls.iter_mut().zip(own) {
            if let Some((_, own)) = own {
                check_url(&own)?;
                *url = own;
            }
        }
        if let Some((_, headers)) = get("HEADERS") {
            config.headers.extend(pairs(&headers));
        }
        if let Some((variable, value)) = get("TIMEOUT") {
            let milliseconds = value.parse().ok().filter(|&n: &u64| n > 0);
            let Some(milliseconds) = milliseconds else {
                return Err(ConfigError::Variable {
                    variable,
                    value,
                    hint: "give milliseconds, such as 10000",
                });
            };
            config.timeout = Duration::from_millis(milliseconds);
        }
        if let Some((variable, value)) = get("PROTOCOL")
            && value != "http/protobuf"
        {
            return Err(ConfigError::Variable {
                variable,
                value,
                hint: "only http/protobuf is spoken; set that, and port 4318",
            });
        }
        #[cfg(feature = "tls")]
        if let Some((_, path)) = get("CERTIFICATE")
            && config.urls.iter().any(|url| url.starts_with("https:"))
        {
            config = config.ca_certificate(path)?;
        }
        match get("COMPRESSION") {
            Some((_, value)) if value == "none" => {}
            Some((_, value)) if value == "gzip" && cfg!(feature = "gzip") => config.gzip = true,
            Some((variable, value)) => {
                let hint = "use none, or gzip with the feature `gzip` of throughline-std";
                return Err(ConfigError::Variable { variable, value, hint });
            }
            None => {}
        }
        Ok(Some(config))
    }

    /// Adds a header to every request, such as an API key.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Limits one attempt at a request, from connecting to the last byte of the answer.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Limits all attempts at one request together; zero for a single attempt.
    #[must_use]
    pub fn retry_for(mut self, limit: Duration) -> Self {
        self.retry_for = limit;
        self
    }

    /// Sets the first pause between attempts; each is twice the one before, up to 5 s, less up to half at random.
    #[must_use]
    pub fn first_backoff(mut self, pause: Duration) -> Self {
        self.first_backoff = pause;
        self
    }

    /// Trusts collectors whose certificate is signed by one of those in this PEM file, instead of by one of Mozilla's list: for an authority of one's own, or a
    /// certificate that signs itself.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or has no certificate.
    #[cfg(feature = "tls")]
    pub fn ca_certificate(mut self, path: impl AsRef<std::path::Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let unusable = |reason: String| ConfigError::Certificate { path: path.display().to_string(), reason };
        let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
        let mut certificates = Vec::new();
        for item in ureq::tls::parse_pem(&pem) {
            if let ureq::tls::PemItem::Certificate(certificate) =
                item.map_err(|error| unusable(error.to_string()))?
            {
                certificates.push(certificate);
            }
        }
        if certificates.is_empty() {
            return Err(unusable("there is no certificate in it".into()));
        }
        self.roots = Some(ureq::tls::RootCerts::new_with_certs(&certificates));
        Ok(self)
    }

    /// Compresses bodies.
    #[cfg(feature = "gzip")]
    #[must_use]
    pub fn gzip(mut self, on: bool) -> Self {
        self.gzip = on;
        self
    }

    /// Where `signal` is sent.
    pub fn url(&self, signal: Signal) -> &str {
        &self.urls[signal as usize]
    }
}

fn check_url(url: &str) -> Result<(), ConfigError> {
    let bad = || ConfigError::Url { url: url.into() };
    let uri: ureq::http::Uri = url.parse().map_err(|_| bad())?;
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") if cfg!(feature = "tls") => {}
        Some("https") => return Err(ConfigError::NoTls { url: url.into() }),
        _ => return Err(bad()),
    }
    if uri.host().is_none_or(str::is_empty) { Err(bad()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(vars: &[(&str, &str)]) -> Result<Option<ClientConfig>, ConfigError> {
        let name = |full: &str| full.strip_prefix("OTEL_EXPORTER_OTLP_").map(str::to_owned);
        ClientConfig::from_lookup(&|full| {
            let (_, value) = vars.iter().find(|(short, _)| Some(*short) == name(full).as_deref())?;
            Some((*value).to_owned())
        })
    }

    #[test]
    fn endpoints_by_the_specification() {
        assert!(parse(&[]).unwrap().is_none());
        let config = parse(&[
            ("ENDPOINT", "http://a:4318/x/"),
            ("LOGS_ENDPOINT", "http://b/in"),
            ("HEADERS", "k=v%20w,n=1"),
        ]);
        let config = config.unwrap().unwrap();
        assert_eq!(config.url(Signal::Traces), "http://a:4318/x/v1/traces");
        assert_eq!(config.url(Signal::Logs), "http://b/in");
        assert_eq!(config.headers, [("k".into(), "v w".into()), ("n".into(), "1".into())]);
        let config = parse(&[("TRACES_ENDPOINT", "http://b/t"), ("TIMEOUT", "250")]).unwrap().unwrap();
        assert_eq!(config.url(Signal::Traces), "http://b/t");
        assert_eq!(config.url(Signal::Metrics), "http://localhost:4318/v1/metrics");
        assert_eq!(config.timeout, Duration::from_millis(250));
    }

    #[test]
    fn every_error_names_the_input_and_the_next_step() {
        let message = |vars: &[(&str, &str)]| parse(vars).map(drop).unwrap_err().to_string();
        assert_eq!(
            message(&[("ENDPOINT", "a:4318")]),
            "OTLP endpoint `a:4318` is not an http:// URL; give one such as http://localhost:4318"
        );
        #[cfg(not(feature = "tls"))]
        assert_eq!(
            message(&[("ENDPOINT", "https://a")]),
            "OTLP endpoint `https://a` wants TLS; build throughline-std with the feature `tls`, or use http://"
        );
        assert_eq!(
            message(&[("ENDPOINT", "http://a"), ("TIMEOUT", "10s")]),
            "OTEL_EXPORTER_OTLP_TIMEOUT=10s: give milliseconds, such as 10000"
        );
        assert!(
            message(&[("ENDPOINT", "http://a"), ("PROTOCOL", "grpc")]).contains("set that, and port 4318")
        );
        assert!(message(&[("ENDPOINT", "http://a"), ("COMPRESSION", "zstd")]).contains("use none, or gzip"));
    }
}
