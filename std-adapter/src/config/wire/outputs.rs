//! The exporters that keys alone describe: logs as lines, to files, syslog and the journal, and traces to a file for Perfetto.

use super::Keys;
use crate::config::problem::Problem;
use std::fs::File;
use std::io::{BufWriter, stderr, stdout};
use throughline_export::Exporter;
use throughline_export::chrome::ChromeTrace;
use throughline_export::log::{Filter, Format, Journald, Lines, Period, RollingFile, Syslog, SyslogTarget};

type Made = Result<Option<Box<dyn Exporter>>, Problem>;

/// Logs as lines on standard output or error.
pub(super) fn lines(keys: &Keys<'_>) -> Made {
    if !keys.has_log_lines() {
        return Ok(None);
    }
    let format = format(keys, "logging.format");
    Ok(Some(match keys.text("logging.output").as_deref() {
        Some("stdout") => Box::new(Lines::new(stdout(), format)),
        _ => Box::new(Lines::new(stderr(), format)),
    }))
}

/// Logs to files that are rolled.
pub(super) fn file(keys: &Keys<'_>) -> Made {
    if !keys.asks_for("logging.file") {
        return Ok(None);
    }
    let path = keys.needed("logging.file.path")?;
    let mut file = RollingFile::new(path);
    if let Some(bytes) = keys.value("logging.file.max_size") {
        file = file.max_bytes(bytes.int());
    }
    if let Some(files) = keys.value("logging.file.max_files") {
        file = file.keep(files.size());
    }
    file = file.period(match keys.text("logging.file.roll").as_deref() {
        Some("hourly") => Period::Hourly,
        Some("daily") => Period::Daily,
        _ => Period::Never,
    });
    let file = file.open().map_err(|error| keys.problem("logging.file.path", &error))?;
    let lines = Lines::new(file, format(keys, "logging.file.format"));
    Ok(Some(Box::new(lines.filter(filter(keys, "logging.file.filter")?))))
}

/// Logs to syslog.
pub(super) fn syslog(keys: &Keys<'_>) -> Made {
    if !keys.asks_for("logging.syslog") {
        return Ok(None);
    }
    let endpoint = keys.text("logging.syslog.endpoint").unwrap_or_default();
    let target: SyslogTarget =
        endpoint.parse().map_err(|error| keys.problem("logging.syslog.endpoint", &error))?;
    let syslog = Syslog::new(target, keys.service()).filter(filter(keys, "logging.syslog.filter")?);
    let facility = keys.text("logging.syslog.facility").unwrap_or_default();
    let number = FACILITIES.iter().position(|name| *name == facility).unwrap_or_default();
    Ok(Some(Box::new(syslog.facility(number as u8))))
}

/// Logs to systemd's journal.
pub(super) fn journald(keys: &Keys<'_>) -> Made {
    if !keys.asks_for("logging.journald") {
        return Ok(None);
    }
    Ok(Some(Box::new(Journald::new(keys.service()).filter(filter(keys, "logging.journald.filter")?))))
}

/// Traces, logs and metrics to a file for Perfetto.
pub(super) fn chrome(keys: &Keys<'_>) -> Made {
    if !keys.asks_for("tracing.chrome") {
        return Ok(None);
    }
    let path = keys.needed("tracing.chrome.path")?;
    let file = File::create(&path).map_err(|error| {
        let advice = format!("`{path}` cannot be written: {error}; check the path and who may write there");
        keys.problem("tracing.chrome.path", &advice)
    })?;
    let trace = ChromeTrace::new(BufWriter::new(file), keys.service());
    let limit = keys.value("tracing.chrome.max_size").map_or(256 << 20, |bytes| bytes.int());
    Ok(Some(Box::new(trace.limit(limit))))
}

/// Names of syslog's facilities, by their number.
pub(crate) const FACILITIES: &[&str] = &[
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];

fn format(keys: &Keys<'_>, path: &str) -> Format {
    if keys.text(path).as_deref() == Some("json") { Format::Json } else { Format::Text }
}

fn filter(keys: &Keys<'_>, path: &str) -> Result<Filter, Problem> {
    match keys.text(path) {
        Some(text) => text.parse().map_err(|error| keys.problem(path, &error)),
        None => Ok(Filter::all()),
    }
}
