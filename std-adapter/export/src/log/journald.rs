//! Sends log records to systemd's journal, with its native protocol
//! (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL>).

use super::Filter;
use crate::backlog::{Backlog, Failure};
use crate::ledger::DropReason;
use crate::message::{self, ValueText};
use crate::view::LogView;
use crate::{Deadline, ExportError, Exporter, Wants};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use throughline::Level;

/// Socket of the journal.
const SOCKET: &str = "/run/systemd/journal/socket";
/// Most bytes of entries that wait while the journal is unavailable.
const BACKLOG: usize = 4 << 20;

/// Sends each log record to systemd's journal as one entry.
///
/// `MESSAGE`, `PRIORITY`, `SYSLOG_IDENTIFIER` (the service), `CODE_FILE` and `CODE_LINE` are the journal's
/// own fields. `TARGET`, `EVENT_NAME`, `TRACE_ID` and `SPAN_ID` can be searched with `journalctl TRACE_ID=…`.
/// Each field of the record has its name in capitals with the prefix `F_`, as in `tracing-journald`.
///
/// While the journal is unavailable, up to 4 MiB of entries wait for it, in order. Entries that find no room
/// are counted as `dropped[unreachable]`.
#[derive(Debug)]
pub struct Journald {
    path: PathBuf,
    identifier: String,
    filter: Filter,
    socket: Option<UnixDatagram>,
    backlog: Backlog,
}

impl Journald {
    /// Sends to the journal of this machine, under the name `service`.
    pub fn new(service: &str) -> Journald {
        let (path, filter, backlog) = (SOCKET.into(), Filter::all(), Backlog::new(BACKLOG));
        Journald { path, identifier: service.into(), filter, socket: None, backlog }
    }

    /// Sends to the socket at `path` instead, for example that of a journal namespace.
    #[must_use]
    pub fn socket(mut self, path: impl Into<PathBuf>) -> Journald {
        self.path = path.into();
        self
    }

    /// Takes only the records that `filter` takes. The default is all of them.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Journald {
        self.filter = filter;
        self
    }

    fn deliver(&mut self, deadline: &Deadline, last: bool) -> Result<(), ExportError> {
        let (path, socket) = (&self.path, &mut self.socket);
        self.backlog.deliver(deadline, last, |entry| {
            let open = match socket {
                Some(open) => Ok(open),
                None => UnixDatagram::unbound().and_then(|new| {
                    new.connect(path)?;
                    Ok(socket.insert(new))
                }),
            };
            open.and_then(|socket| socket.send(entry))
                .map(drop)
                .map_err(|error| failure(path, socket, &error))
        })
    }
}

fn failure(path: &std::path::Path, socket: &mut Option<UnixDatagram>, error: &io::Error) -> Failure {
    let path = path.display();
    if error.raw_os_error() == Some(libc::EMSGSIZE) {
        let why = format!("{path} takes no entry of this size: {error}; make values shorter");
        return Failure::Never { why, reason: DropReason::Refused };
    }
    *socket = None;
    Failure::Later {
        why: format!("{path} takes no entries: {error}; check that systemd-journald runs"),
        after: None,
    }
}

impl Exporter for Journald {
    fn wants(&self) -> Wants {
        Wants { logs: true, ..Wants::NOTHING }
    }

    fn log_filter(&self) -> Filter {
        self.filter.clone()
    }

    fn log(&mut self, log: &LogView<'_>) {
        let priority = match log.level {
            Level::Error => "3",
            Level::Warn => "4",
            Level::Info => "6",
            Level::Debug | Level::Trace => "7",
        };
        let mut entry = Vec::with_capacity(512);
        put(&mut entry, "MESSAGE", &message::render(log.message, log.fields.clone()));
        put(&mut entry, "PRIORITY", priority);
        put(&mut entry, "SYSLOG_IDENTIFIER", &self.identifier);
        put(&mut entry, "TARGET", log.target);
        if !log.event_name.is_empty() {
            put(&mut entry, "EVENT_NAME", log.event_name);
        }
        if !log.file.is_empty() {
            put(&mut entry, "CODE_FILE", log.file);
            put(&mut entry, "CODE_LINE", &log.line.to_string());
        }
        if let Some((trace_id, span_id)) = log.span {
            put(&mut entry, "TRACE_ID", &trace_id.to_string());
            put(&mut entry, "SPAN_ID", &span_id.to_string());
        }
        for (name, value) in message::attributes(log) {
            put(&mut entry, &field_name(name), &ValueText(&value).to_string());
        }
        self.backlog.push(entry, 1);
    }

    fn flush(&mut self, deadline: &Deadline) -> Result<(), ExportError> {
        self.deliver(deadline, false)
    }

    fn finish(&mut self, deadline: &Deadline) -> Result<(), ExportError> {
        self.deliver(deadline, true)
    }

    fn held(&self) -> u64 {
        self.backlog.held()
    }
}

/// The journal allows capitals, digits and underscores, at most 64 of them.
fn field_name(name: &str) -> String {
    let name = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    "F_".chars().chain(name).take(64).collect()
}

/// Appends a field. A value with line breaks is written with its length instead of a `=`, so that it cannot
/// be mistaken for more fields.
fn put(entry: &mut Vec<u8>, name: &str, value: &str) {
    entry.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        entry.push(b'\n');
        entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend_from_slice(value.as_bytes());
    entry.push(b'\n');
}
