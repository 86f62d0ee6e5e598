//! Sends log records to Elasticsearch and OpenSearch with their bulk API (`POST /_bulk`).

use super::{Filter, format};
use crate::backlog::Failure;
use crate::json::{Object, push_value};
use crate::ledger::DropReason;
use crate::message;
use crate::otlp::ConfigError;
use crate::push::{Push, PushUrlError};
use crate::text::said;
use crate::view::LogView;
use crate::{Deadline, ExportError, Exporter, Wants};
use std::path::Path;

const PATH: &str = "/_bulk";
const EXAMPLE: &str = "http://localhost:9200";
/// A request with this many bytes is full.
const REQUEST: usize = 1 << 20;

/// Indexes log records in Elasticsearch or OpenSearch, or in a server with the same bulk API, such as
/// VictoriaLogs.
///
/// Documents follow the Elastic Common Schema: `@timestamp`, `message`, `log.level`, `log.logger` (the
/// target), `log.origin.file.name` and `.line`, `service.name`, `event.action` (the event's name), `trace.id`
/// and `span.id`. Fields are in `labels` with their types. Each document is created in the given data stream
/// or index.
///
/// A document that the database refuses is counted as `dropped[rejected]`. While the database is unavailable,
/// up to 16 MiB of requests wait for it, in order. Records that find no room are counted as
/// `dropped[unreachable]`.
///
/// ```
/// use throughline_export::log::Elastic;
/// let elastic = Elastic::new("http://localhost:9200", "logs-shop-default", "shop")?.api_key("VuaCfGcBCdbkQm…");
/// // let config = throughline_std::Config::new("shop").exporter("elastic", elastic);
/// # Ok::<(), throughline_export::PushUrlError>(())
/// ```
#[derive(Debug)]
pub struct Elastic {
    push: Push,
    /// The line before each document.
    action: String,
    service: String,
    filter: Filter,
    batch: String,
    taken: u64,
}

impl Elastic {
    /// Sends documents for `index` to `url`; `/_bulk` is appended if it has no path.
    ///
    /// # Errors
    ///
    /// Fails if `url` is not a valid URL.
    pub fn new(url: &str, index: &str, service: &str) -> Result<Elastic, PushUrlError> {
        let mut action = String::from("{\"create\":");
        let mut target = Object::new(&mut action);
        target.text("_index", index);
        target.end();
        action += "}\n";
        Ok(Elastic {
            push: Push::new("Elasticsearch", url, PATH, "application/x-ndjson", EXAMPLE)?,
            action,
            service: service.into(),
            filter: Filter::all(),
            batch: String::new(),
            taken: 0,
        })
    }

    /// Sends this API key, in the form that Elasticsearch prints.
    #[must_use]
    pub fn api_key(self, key: &str) -> Elastic {
        self.header("Authorization", &format!("ApiKey {key}"))
    }

    /// Sends this header with each request.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Elastic {
        self.push.header(name, value);
        self
    }

    /// Trusts a server whose certificate is signed by an authority in this PEM file, instead of by one in Mozilla's list.
    ///
    /// # Errors
    ///
    /// The file cannot be read or has no certificate, or TLS is not built in.
    pub fn ca_certificate(mut self, path: impl AsRef<Path>) -> Result<Elastic, ConfigError> {
        self.push.ca_certificate(path.as_ref())?;
        Ok(self)
    }

    /// Takes only the records that `filter` takes. The default is all of them.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Elastic {
        self.filter = filter;
        self
    }

    fn close(&mut self) {
        if self.taken > 0 {
            self.push.queue(std::mem::take(&mut self.batch), std::mem::take(&mut self.taken));
        }
    }

    fn deliver(&mut self, deadline: &Deadline, last: bool) -> Result<(), ExportError> {
        self.close();
        self.push.deliver(deadline, last, |answer| match refused(&String::from_utf8_lossy(&answer.body)) {
            None => Ok(()),
            Some((records, why)) => Err(Failure::Partly { records, why, reason: DropReason::Rejected }),
        })
    }
}

/// How many documents were refused according to an answer, and the reason for the first one.
fn refused(answer: &str) -> Option<(u64, String)> {
    // Each item has one status; errors within items have none.
    let statuses = answer.split("\"status\":").skip(1);
    let status = |rest: &str| rest.trim_start().chars().take_while(char::is_ascii_digit).collect::<String>();
    let refused =
        statuses.filter(|rest| status(rest).parse::<u32>().is_ok_and(|status| status >= 300)).count();
    let reason = answer.split_once("\"error\":").map_or("", |(_, rest)| rest);
    let why = format!(
        "{refused} documents were refused: {}; compare their fields with the index's mapping",
        said(reason)
    );
    (refused > 0).then_some((refused as u64, why))
}

impl Exporter for Elastic {
    fn wants(&self) -> Wants {
        Wants { logs: true, ..Wants::NOTHING }
    }

    fn log_filter(&self) -> Filter {
        self.filter.clone()
    }

    fn log(&mut self, log: &LogView<'_>) {
        self.batch += &self.action;
        let mut document = Object::new(&mut self.batch);
        document.plain("@timestamp", format::nanos(log.time_unix_ns));
        document.text("message", &message::render(log.message, log.fields.clone()));
        document.plain("log.level", log.level.as_str().to_ascii_lowercase());
        document.text("log.logger", log.target);
        if !log.file.is_empty() {
            document.text("log.origin.file.name", log.file);
            document.number("log.origin.file.line", log.line);
        }
        document.text("service.name", &self.service);
        if !log.event_name.is_empty() {
            document.text("event.action", log.event_name);
        }
        if let Some((trace_id, span_id)) = log.span {
            document.plain("trace.id", trace_id);
            document.plain("span.id", span_id);
        }
        let mut labels = document.object("labels");
        for (name, value) in message::attributes(log) {
            push_value(labels.key(name), &value);
        }
        labels.end();
        document.end();
        self.batch.push('\n');
        self.taken += 1;
        if self.batch.len() >= REQUEST {
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
