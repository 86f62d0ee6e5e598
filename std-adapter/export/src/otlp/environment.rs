//! Reads the client's settings from OpenTelemetry's environment variables, as defined in
//! <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>.

use super::config::{ClientConfig, ConfigError};
use super::protocol::{Protocol, Signal};
use crate::resource::pairs;
use std::time::Duration;

impl ClientConfig {
    /// Reads the variables `OTEL_EXPORTER_OTLP_` followed by `ENDPOINT`, `PROTOCOL`, `HEADERS`, `TIMEOUT`
    /// (milliseconds), `COMPRESSION`, `CERTIFICATE`, `CLIENT_CERTIFICATE`, `CLIENT_KEY`, `INSECURE`,
    /// `METRICS_TEMPORALITY_PREFERENCE`, `METRICS_DEFAULT_HISTOGRAM_AGGREGATION`. Except for the last two,
    /// which concern only metrics, each also has a form for one signal, such as
    /// `OTEL_EXPORTER_OTLP_TRACES_HEADERS`, which takes precedence. The endpoint of one signal is used as it
    /// is. Certificates are read only for https endpoints. Returns `None` if no endpoint is set.
    ///
    /// # Errors
    ///
    /// Fails if a variable has a value that cannot be honoured. The error names the variable, but shows no
    /// value that may be secret.
    pub fn from_env() -> Result<Option<ClientConfig>, ConfigError> {
        Self::from_lookup(&|name| std::env::var(name).ok())
    }

    pub(crate) fn from_lookup(
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<ClientConfig>, ConfigError> {
        let is_set = |variable: &Variable| variable.value.is_some();
        let base = Variable::general("ENDPOINT", env);
        let own = Signal::ALL.map(|signal| Variable::own(signal, "ENDPOINT", env));
        if !is_set(&base) && !own.iter().any(is_set) {
            return Ok(None);
        }
        let mut config: Option<ClientConfig> = None;
        for signal in Signal::ALL {
            let of_signal = one(signal, env)?;
            config = Some(match config {
                Some(config) => config.with_signal(signal, &of_signal),
                None => of_signal,
            });
        }
        let Some(mut config) = config else { return Ok(None) };
        let temporality = Variable::own(Signal::Metrics, "TEMPORALITY_PREFERENCE", env);
        if let Some(text) = &temporality.value {
            config = config.temporality(text.parse().map_err(|error| temporality.error(hint(&error)))?);
        }
        let histograms = Variable::own(Signal::Metrics, "DEFAULT_HISTOGRAM_AGGREGATION", env);
        if let Some(text) = &histograms.value {
            config = config.histograms(text.parse().map_err(|error| histograms.error(hint(&error)))?);
        }
        Ok(Some(config))
    }
}

/// A variable that may be set.
struct Variable {
    name: String,
    value: Option<String>,
}

impl Variable {
    fn new(name: String, env: &dyn Fn(&str) -> Option<String>) -> Variable {
        let value = env(&name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        Variable { name, value }
    }

    fn general(rest: &str, env: &dyn Fn(&str) -> Option<String>) -> Variable {
        Variable::new(format!("OTEL_EXPORTER_OTLP_{rest}"), env)
    }

    fn own(signal: Signal, rest: &str, env: &dyn Fn(&str) -> Option<String>) -> Variable {
        Variable::new(format!("OTEL_EXPORTER_OTLP_{}_{rest}", signal.as_str().to_uppercase()), env)
    }

    /// The variable of the signal, or else the general one.
    fn of(signal: Signal, rest: &str, env: &dyn Fn(&str) -> Option<String>) -> Variable {
        let own = Variable::own(signal, rest, env);
        if own.value.is_some() { own } else { Variable::general(rest, env) }
    }

    /// The error for a value that cannot be honoured.
    fn error(&self, hint: impl Into<String>) -> ConfigError {
        let value = self.value.clone().unwrap_or_default();
        ConfigError::Variable { variable: self.name.clone(), value, hint: hint.into() }
    }
}

/// The settings of one signal.
fn one(signal: Signal, env: &dyn Fn(&str) -> Option<String>) -> Result<ClientConfig, ConfigError> {
    let of = |rest: &str| Variable::of(signal, rest, env);
    let protocol = of("PROTOCOL");
    let protocol = match &protocol.value {
        Some(value) => {
            value.parse::<Protocol>().and_then(Protocol::check).map_err(|e| protocol.error(hint(&e)))?
        }
        None => Protocol::default(),
    };
    let is_grpc = protocol == Protocol::Grpc;
    let own = Variable::own(signal, "ENDPOINT", env).value;
    let given = own.clone().or_else(|| Variable::general("ENDPOINT", env).value);
    let default = if is_grpc { "http://localhost:4317" } else { "http://localhost:4318" };
    let mut endpoint = given.unwrap_or_else(|| default.into());
    if is_grpc && !endpoint.contains("://") {
        let insecure = of("INSECURE").value.is_some_and(|value| value.eq_ignore_ascii_case("true"));
        endpoint.insert_str(0, if insecure { "http://" } else { "https://" });
    }
    let config = if own.is_some() { ClientConfig::at(&endpoint) } else { ClientConfig::new(&endpoint) };
    let mut config = config?.protocol(protocol)?;

    let headers = of("HEADERS");
    if let Some(text) = &headers.value {
        let count = text.split(',').filter(|pair| !pair.trim().is_empty()).count();
        let read: Vec<_> = pairs(text).collect();
        if read.len() != count {
            let hint = "give name=value, name=value, with what is special in a value percent-encoded";
            return Err(ConfigError::Variable {
                variable: headers.name,
                value: "***".into(),
                hint: hint.into(),
            });
        }
        for (name, value) in read {
            config = config.header(name, value);
        }
    }
    let timeout = of("TIMEOUT");
    if let Some(text) = &timeout.value {
        let milliseconds = text.parse().ok().filter(|&n: &u64| n > 0);
        let milliseconds = milliseconds.ok_or_else(|| timeout.error("give milliseconds, such as 10000"))?;
        config = config.timeout(Duration::from_millis(milliseconds));
    }
    let compression = of("COMPRESSION");
    if let Some(text) = &compression.value {
        let read = text.parse().and_then(|compression| config.clone().compression(compression));
        config = read.map_err(|error| compression.error(hint(&error)))?;
    }
    if endpoint.starts_with("https:") {
        if let Some(path) = of("CERTIFICATE").value {
            config = config.ca_certificate(path)?;
        }
        let (certificate, key) = (of("CLIENT_CERTIFICATE"), of("CLIENT_KEY"));
        config = match (&certificate.value, &key.value) {
            (Some(certificate), Some(key)) => config.client_certificate(certificate, key)?,
            (None, None) => config,
            (Some(_), None) => return Err(certificate.error(format!("set {} too", key.name))),
            (None, Some(_)) => return Err(key.error(format!("set {} too", certificate.name))),
        };
    }
    Ok(config)
}

/// Says what to do about a value that is unknown or not built in.
fn hint(error: &ConfigError) -> String {
    match error {
        ConfigError::Value { expected, .. } => format!("use {expected}"),
        ConfigError::NotBuilt { feature, .. } => {
            format!("build throughline-std with the feature `{feature}`")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::{Compression, Histograms, Temporality};

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
            ("LOGS_ENDPOINT", "http://b/in?q=1"),
            ("HEADERS", "k=v%20w,n=1"),
        ]);
        let config = config.unwrap().unwrap();
        assert_eq!(config.url(Signal::Traces), "http://a:4318/x/v1/traces");
        assert_eq!(config.url(Signal::Logs), "http://b/in?q=1");
        let headers = [("k".into(), "v w".into()), ("n".into(), "1".into())];
        assert_eq!(config.target(Signal::Logs).headers, headers);
        let config = parse(&[("TRACES_ENDPOINT", "http://b/t"), ("TIMEOUT", "250")]).unwrap().unwrap();
        assert_eq!(config.url(Signal::Traces), "http://b/t");
        assert_eq!(config.url(Signal::Metrics), "http://localhost:4318/v1/metrics");
        assert_eq!(config.target(Signal::Metrics).timeout, Duration::from_millis(250));
    }

    #[test]
    fn a_signals_own_goes_first() {
        let config = parse(&[
            ("ENDPOINT", "http://a"),
            ("PROTOCOL", "http/json"),
            ("LOGS_PROTOCOL", "http/protobuf"),
            ("HEADERS", "a=1"),
            ("TRACES_HEADERS", "b=2"),
            ("METRICS_TIMEOUT", "7"),
            ("COMPRESSION", "none"),
            ("METRICS_TEMPORALITY_PREFERENCE", "Delta"),
            ("METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "explicit_bucket_histogram"),
        ]);
        let config = config.unwrap().unwrap();
        let [traces, logs, metrics] = Signal::ALL.map(|signal| config.target(signal));
        assert_eq!((traces.protocol, logs.protocol), (Protocol::HttpJson, Protocol::HttpProtobuf));
        assert_eq!((&*traces.headers[0].0, &*logs.headers[0].0), ("b", "a"));
        assert_eq!(metrics.timeout, Duration::from_millis(7));
        assert_eq!(metrics.compression, Compression::None);
        assert_eq!((config.temporality, config.histograms), (Temporality::Delta, Histograms::Explicit));
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
            message(&[("ENDPOINT", "http://a"), ("LOGS_TIMEOUT", "10s")]),
            "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT=10s: give milliseconds, such as 10000"
        );
        assert_eq!(
            message(&[("ENDPOINT", "http://a"), ("PROTOCOL", "thrift")]),
            "OTEL_EXPORTER_OTLP_PROTOCOL=thrift: use http/protobuf, http/json or grpc"
        );
        #[cfg(not(feature = "zstd"))]
        assert_eq!(
            message(&[("ENDPOINT", "http://a"), ("COMPRESSION", "zstd")]),
            "OTEL_EXPORTER_OTLP_COMPRESSION=zstd: build throughline-std with the feature `zstd`"
        );
        let secret = message(&[("ENDPOINT", "http://a"), ("HEADERS", "a=1,hunter2")]);
        assert!(secret.contains("OTEL_EXPORTER_OTLP_HEADERS=***") && !secret.contains("hunter2"), "{secret}");
        #[cfg(feature = "tls")]
        assert!(
            message(&[("ENDPOINT", "https://a"), ("CLIENT_KEY", "k.pem")])
                .contains("set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE too")
        );
    }
}
