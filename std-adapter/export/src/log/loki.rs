//! Pushes log records to Loki with its push API in JSON (`POST /loki/api/v1/push`).

use super::Filter;
use crate::json::Object;
use crate::message::{self, ValueText};
use crate::otlp::ConfigError;
use crate::push::{Push, PushUrlError};
use crate::view::LogView;
use crate::{Deadline, ExportError, Exporter, Wants};
use std::collections::BTreeMap;
use std::path::Path;
use throughline::Level;

const PATH: &str = "/loki/api/v1/push";
const EXAMPLE: &str = "http://localhost:3100/loki/api/v1/push";

/// Pushes log records to Loki, or to a server with the same protocol, such as VictoriaLogs.
///
/// A line is the record's message. Labels are `service_name`, `level` and those added with [`Loki::label`].
/// Properties with many values are not labels: `trace_id`, `span_id`, `target` and all fields are structured
/// metadata (Loki 2.9 or later), which a query such as `{service_name="shop"} | trace_id="…"` selects. In
/// their names, other characters than letters, digits and `_` become `_`.
///
/// While Loki is unavailable, up to 16 MiB of requests wait for it, in order. Records that find no room are
/// counted as `dropped[unreachable]`.
///
/// ```
/// use throughline_export::log::Loki;
/// let loki = Loki::new("http://localhost:3100", "shop")?.label("env", "prod").tenant("store");
/// // let config = throughline_std::Config::new("shop").exporter("loki", loki);
/// # Ok::<(), throughline_export::PushUrlError>(())
/// ```
#[derive(Debug)]
pub struct Loki {
    push: Push,
    labels: BTreeMap<String, String>,
    filter: Filter,
    records: usize,
    /// The entries of each level's stream.
    streams: [String; 5],
    taken: u64,
}

impl Loki {
    /// Pushes to `url`; `/loki/api/v1/push` is appended if it has no path.
    ///
    /// # Errors
    ///
    /// Fails if `url` is not a valid URL.
    pub fn new(url: &str, service: &str) -> Result<Loki, PushUrlError> {
        let loki = Loki {
            push: Push::new("Loki", url, PATH, "application/json", EXAMPLE)?,
            labels: BTreeMap::new(),
            filter: Filter::all(),
            records: 1000,
            streams: Default::default(),
            taken: 0,
        };
        Ok(loki.label("service_name", service))
    }

    /// Adds a label to all streams, or replaces it.
    #[must_use]
    pub fn label(mut self, name: &str, value: &str) -> Loki {
        self.labels.insert(label_name(name), value.into());
        self
    }

    /// Pushes for this tenant, with the header `X-Scope-OrgID`.
    #[must_use]
    pub fn tenant(self, tenant: &str) -> Loki {
        self.header("X-Scope-OrgID", tenant)
    }

    /// Sends this header with each request, for example `Authorization`.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Loki {
        self.push.header(name, value);
        self
    }

    /// Trusts a server whose certificate is signed by an authority in this PEM file, instead of by one in Mozilla's list.
    ///
    /// # Errors
    ///
    /// The file cannot be read or has no certificate, or TLS is not built in.
    pub fn ca_certificate(mut self, path: impl AsRef<Path>) -> Result<Loki, ConfigError> {
        self.push.ca_certificate(path.as_ref())?;
        Ok(self)
    }

    /// Most records per push. The default is 1000.
    #[must_use]
    pub fn batch_size(mut self, records: usize) -> Loki {
        self.records = records.max(1);
        self
    }

    /// Takes only the records that `filter` takes. The default is all of them.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Loki {
        self.filter = filter;
        self
    }

    /// Puts the taken records into a request, with a stream for each level.
    fn close(&mut self) {
        if self.taken == 0 {
            return;
        }
        let mut body = String::from("{\"streams\":[");
        let levels = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error];
        let mut separator = "";
        for (level, entries) in
            levels.into_iter().zip(&mut self.streams).filter(|(_, entries)| !entries.is_empty())
        {
            body += std::mem::replace(&mut separator, ",");
            let mut stream = Object::new(&mut body);
            let mut labels = stream.object("stream");
            for (name, value) in &self.labels {
                labels.text(name, value);
            }
            labels.plain("level", level.as_str().to_ascii_lowercase());
            labels.end();
            let values = stream.key("values");
            *values += "[";
            *values += entries;
            *values += "]";
            stream.end();
            entries.clear();
        }
        body += "]}";
        self.push.queue(body, std::mem::take(&mut self.taken));
    }

    fn deliver(&mut self, deadline: &Deadline, last: bool) -> Result<(), ExportError> {
        self.close();
        self.push.deliver(deadline, last, |_| Ok(()))
    }
}

impl Exporter for Loki {
    fn wants(&self) -> Wants {
        Wants { logs: true, ..Wants::NOTHING }
    }

    fn log_filter(&self) -> Filter {
        self.filter.clone()
    }

    fn log(&mut self, log: &LogView<'_>) {
        let entries = &mut self.streams[log.level as usize - Level::Trace as usize];
        if !entries.is_empty() {
            entries.push(',');
        }
        *entries += "[\"";
        *entries += &log.time_unix_ns.to_string();
        *entries += "\",";
        crate::json::push_text(entries, &message::render(log.message, log.fields.clone()));
        entries.push(',');
        let mut metadata = Object::new(entries);
        if let Some((trace_id, span_id)) = log.span {
            metadata.plain("trace_id", trace_id);
            metadata.plain("span_id", span_id);
        }
        metadata.text("target", log.target);
        if !log.event_name.is_empty() {
            metadata.text("event_name", log.event_name);
        }
        for (name, value) in message::attributes(log) {
            metadata.text(&label_name(name), &ValueText(&value).to_string());
        }
        metadata.end();
        entries.push(']');
        self.taken += 1;
        if self.taken >= self.records as u64 {
            self.close();
        }
    }

    fn flush(&mut self, deadline: &Deadline) -> Result<(), ExportError> {
        self.deliver(deadline, false)
    }

    fn finish(&mut self, deadline: &Deadline) -> Result<(), ExportError> {
        self.deliver(deadline, true)
    }

    fn held(&self) -> u64 {
        self.push.held()
    }
}

/// A name in Prometheus's syntax, which Loki's labels use.
fn label_name(name: &str) -> String {
    let digit_first = name.starts_with(|c: char| c.is_ascii_digit());
    let name = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    digit_first.then_some('_').into_iter().chain(name).collect()
}
