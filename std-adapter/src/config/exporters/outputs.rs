//! Creates the exporters that are configured entirely by keys: logs as lines, to files, syslog, the journal,
//! Loki and Elasticsearch, and traces to Zipkin and to a file for Perfetto.

use super::{Keys, Made, Wrong};
use crate::config::problem::Problem;
use std::fs::File;
use std::io::{BufWriter, stderr, stdout};
use throughline_export::chrome::ChromeTrace;
#[cfg(unix)]
use throughline_export::log::Journald;
use throughline_export::log::{
    Elastic, Format, Lines, Loki, Period, RollingFile, RollingWriter, Syslog, SyslogTarget,
};
use throughline_export::otlp::{ConfigError, OtlpFile, Signal};
use throughline_export::zipkin::Zipkin;

/// Logs as lines on standard output or error.
pub(super) fn lines(keys: &Keys<'_>) -> Made {
    if !keys.has_log_lines() {
        return Ok(None);
    }
    let (format, filter) = (format(keys, "logging.format"), keys.config.terminal_filter.clone());
    Ok(Some(match keys.config.draws_on_stdout() {
        true => Box::new(Lines::new(stdout(), format).filter(filter)),
        false => Box::new(Lines::new(stderr(), format).filter(filter)),
    }))
}

/// Logs to files that are rolled.
pub(super) fn file(keys: &Keys<'_>) -> Made {
    if !keys.asks_for("logging.file") {
        return Ok(None);
    }
    let mut wrong = Wrong::default();
    let filter = wrong.take(keys.filter("logging.file.filter"));
    let file = wrong.take(rolling(keys, "logging.file"));
    let (filter, Some(file)) = wrong.or(filter.zip(file))? else { return Ok(None) };
    Ok(Some(Box::new(Lines::new(file, format(keys, "logging.file.format")).filter(filter))))
}

/// Everything to files of OTLP JSON lines that are rolled.
pub(super) fn otlp_file(keys: &Keys<'_>) -> Made {
    if !keys.asks_for("otlp.file") {
        return Ok(None);
    }
    let Some(file) = rolling(keys, "otlp.file")? else { return Ok(None) };
    let on = |signal: &Signal| keys.config.routes.of(*signal, &keys.config.filters).1;
    let signals: Vec<Signal> = keys.signals("otlp.file.signals").into_iter().filter(on).collect();
    let file = OtlpFile::new(file).signals(&signals).options(keys.config.options);
    Ok(Some(Box::new(file.histograms(keys.histograms()))))
}

/// The file of a section with `path`, `max_size`, `roll` and `max_files`; `None` if it was only tried.
fn rolling(keys: &Keys<'_>, section: &str) -> Result<Option<RollingWriter>, Problem> {
    let key = |name: &str| format!("{section}.{name}");
    let mut file = RollingFile::new(keys.needed(&key("path"))?);
    if let Some(bytes) = keys.value(&key("max_size")) {
        file = file.max_bytes(bytes.int());
    }
    if let Some(files) = keys.value(&key("max_files")) {
        file = file.keep(files.size());
    }
    file = file.period(match keys.text(&key("roll")).as_deref() {
        Some("hourly") => Period::Hourly,
        Some("daily") => Period::Daily,
        _ => Period::Never,
    });
    let opened = if keys.dry { file.check().map(|()| None) } else { file.open().map(Some) };
    opened.map_err(|error| keys.problem(&key("path"), &error))
}

/// Logs to syslog.
pub(super) fn syslog(keys: &Keys<'_>) -> Made {
    if !keys.asks_for("logging.syslog") {
        return Ok(None);
    }
    let mut wrong = Wrong::default();
    let filter = wrong.take(keys.filter("logging.syslog.filter"));
    let syslog = wrong.take(syslog_to(keys));
    let (filter, syslog) = wrong.or(filter.zip(syslog))?;
    let facility = keys.text("logging.syslog.facility").unwrap_or_default();
    let number = FACILITIES.iter().position(|name| *name == facility).unwrap_or_default();
    Ok(Some(Box::new(syslog.filter(filter).facility(number as u8))))
}

/// The endpoint of syslog, with its certificates.
fn syslog_to(keys: &Keys<'_>) -> Result<Syslog, Problem> {
    const ENDPOINT: &str = "logging.syslog.endpoint";
    let endpoint = keys.text(ENDPOINT).unwrap_or_default();
    let target: SyslogTarget = endpoint.parse().map_err(|error| keys.problem(ENDPOINT, &error))?;
    let is_tls = matches!(target, SyslogTarget::Tls(_));
    if is_tls && !cfg!(feature = "tls") {
        let error = ConfigError::NotBuilt { what: "syslog over TLS".into(), feature: "tls" };
        return Err(keys.problem(ENDPOINT, &error));
    }
    let mut syslog = Syslog::new(target, keys.service());
    const CERTIFICATE: &str = "logging.syslog.certificate";
    const CLIENT: &str = "logging.syslog.client_certificate";
    const KEY: &str = "logging.syslog.client_key";
    if let Some(path) = keys.text(CERTIFICATE).filter(|_| is_tls) {
        syslog = syslog.ca_certificate(path).map_err(|error| keys.problem(CERTIFICATE, &error))?;
    }
    if let (Some(certificate), Some(key), true) = (keys.text(CLIENT), keys.text(KEY), is_tls) {
        syslog = syslog.client_certificate(certificate, key).map_err(|error| keys.problem(CLIENT, &error))?;
    }
    Ok(syslog)
}

/// Logs to systemd's journal.
pub(super) fn journald(keys: &Keys<'_>) -> Made {
    if !keys.asks_for("logging.journald") {
        return Ok(None);
    }
    #[cfg(unix)]
    return Ok(Some(Box::new(Journald::new(keys.service()).filter(keys.filter("logging.journald.filter")?))));
    #[cfg(not(unix))]
    {
        let none = "this system has no systemd; use logging.file or logging.syslog".to_owned();
        Err(keys.problem("logging.journald.enabled", &none).into())
    }
}

/// Logs to Loki.
pub(super) fn loki(keys: &Keys<'_>) -> Made {
    if !keys.asks_for("logging.loki") {
        return Ok(None);
    }
    const ENDPOINT: &str = "logging.loki.endpoint";
    let mut wrong = Wrong::default();
    let made = |url: String| Loki::new(&url, keys.service()).map_err(|error| keys.problem(ENDPOINT, &error));
    let loki = wrong.take(keys.needed(ENDPOINT).and_then(made));
    let filter = wrong.take(keys.filter("logging.loki.filter"));
    let (mut loki, filter) = wrong.or(loki.zip(filter))?;
    for (name, value) in keys.pairs("logging.loki.labels") {
        loki = loki.label(&name, &value);
    }
    for (name, value) in keys.pairs("logging.loki.headers") {
        loki = loki.header(&name, &value);
    }
    if let Some(tenant) = keys.text("logging.loki.tenant") {
        loki = loki.tenant(&tenant);
    }
    if let Some(records) = keys.value("logging.loki.batch_size") {
        loki = loki.batch_size(records.size());
    }
    loki = keys.trusting("logging.loki.certificate", loki, |loki, path| loki.ca_certificate(path))?;
    Ok(Some(Box::new(loki.filter(filter))))
}

/// Logs to Elasticsearch.
pub(super) fn elasticsearch(keys: &Keys<'_>) -> Made {
    if !keys.asks_for("logging.elasticsearch") {
        return Ok(None);
    }
    const ENDPOINT: &str = "logging.elasticsearch.endpoint";
    let mut wrong = Wrong::default();
    let index = keys.text("logging.elasticsearch.index").unwrap_or_default();
    let made = |url: String| {
        Elastic::new(&url, &index, keys.service()).map_err(|error| keys.problem(ENDPOINT, &error))
    };
    let elastic = wrong.take(keys.needed(ENDPOINT).and_then(made));
    let filter = wrong.take(keys.filter("logging.elasticsearch.filter"));
    let (mut elastic, filter) = wrong.or(elastic.zip(filter))?;
    for (name, value) in keys.pairs("logging.elasticsearch.headers") {
        elastic = elastic.header(&name, &value);
    }
    if let Some(key) = keys.text("logging.elasticsearch.api_key") {
        elastic = elastic.api_key(&key);
    }
    const CERTIFICATE: &str = "logging.elasticsearch.certificate";
    elastic = keys.trusting(CERTIFICATE, elastic, |elastic, path| elastic.ca_certificate(path))?;
    Ok(Some(Box::new(elastic.filter(filter))))
}

/// Traces to Zipkin.
pub(super) fn zipkin(keys: &Keys<'_>) -> Made {
    let named = keys.config.routes.traces.iter().flatten().any(|name| name == "zipkin");
    if !named && !keys.asks_for("tracing.zipkin") {
        return Ok(None);
    }
    let endpoint = keys.text("tracing.zipkin.endpoint").unwrap_or_else(|| "http://localhost:9411".into());
    let zipkin = Zipkin::new(&endpoint, keys.service());
    let mut zipkin = zipkin.map_err(|error| keys.problem("tracing.zipkin.endpoint", &error))?;
    for (name, value) in keys.pairs("tracing.zipkin.headers") {
        zipkin = zipkin.header(&name, &value);
    }
    zipkin =
        keys.trusting("tracing.zipkin.certificate", zipkin, |zipkin, path| zipkin.ca_certificate(path))?;
    Ok(Some(Box::new(zipkin)))
}

/// Traces, logs and metrics to a file for Perfetto.
pub(super) fn chrome(keys: &Keys<'_>) -> Made {
    if !keys.asks_for("tracing.chrome") {
        return Ok(None);
    }
    const PATH: &str = "tracing.chrome.path";
    let path = keys.needed(PATH)?;
    // This makes missing folders, and its error names the path.
    let file = RollingFile::new(&path);
    if keys.dry {
        return file.check().map(|()| None).map_err(|error| keys.problem(PATH, &error).into());
    }
    let opened = file.open().and_then(|_| File::create(&path));
    let file = opened.map_err(|error| keys.problem(PATH, &error))?;
    let trace = ChromeTrace::new(BufWriter::new(file), keys.service());
    let limit = keys.value("tracing.chrome.max_size").map_or(256 << 20, |bytes| bytes.int());
    Ok(Some(Box::new(trace.limit(limit))))
}

/// Names of syslog's facilities; the index is the number.
pub(crate) const FACILITIES: &[&str] = &[
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];

fn format(keys: &Keys<'_>, path: &str) -> Format {
    if keys.text(path).as_deref() == Some("json") { Format::Json } else { Format::Text }
}
