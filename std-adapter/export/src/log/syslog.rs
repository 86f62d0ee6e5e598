//! Sends log records as syslog messages (RFC 5424) over a Unix socket, UDP, TCP or TLS.

use super::syslog_socket::{Socket, connect};
use super::{Filter, format};
use crate::backlog::{Backlog, Failure};
use crate::message::{self, ValueText};
use crate::otlp::{ConfigError, Tls};
use crate::text::{Escaped, is_dangerous, masked_url};
use crate::view::LogView;
use crate::{Deadline, ExportError, Exporter, Wants};
use std::fmt::{self, Write as _};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use throughline::Level;

/// Most bytes of messages that wait while the receiver is unavailable.
const BACKLOG: usize = 4 << 20;
/// Most bytes of a datagram. RFC 5426 requires that receivers take 2048 over UDP; a Unix socket takes far
/// more.
const DATAGRAM: usize = 2048;
/// Socket of a local syslog daemon.
const LOCAL: &str = "/dev/log";

/// The destination of syslog messages.
///
/// ```
/// use throughline_export::log::SyslogTarget;
/// assert_eq!("udp://logs.example:514".parse::<SyslogTarget>()?.to_string(), "udp://logs.example:514");
/// assert_eq!("tcp://[::1]".parse::<SyslogTarget>()?.to_string(), "tcp://[::1]:514");
/// assert_eq!("unix:/dev/log".parse::<SyslogTarget>()?.to_string(), "unix:/dev/log");
/// # Ok::<(), throughline_export::log::SyslogTargetError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyslogTarget {
    /// A Unix datagram socket, such as `/dev/log` of a local daemon.
    Unix(PathBuf),
    /// Host and port. Each message is a datagram (RFC 5426), which is cut at 2048 bytes and then marked.
    Udp(String),
    /// Host and port. Messages follow each other, each after its length (octet counting, RFC 6587).
    Tcp(String),
    /// Host and port. As TCP, over TLS (RFC 5425). Needs the feature `tls`.
    Tls(String),
}

impl Default for SyslogTarget {
    fn default() -> SyslogTarget {
        SyslogTarget::Unix(LOCAL.into())
    }
}

impl fmt::Display for SyslogTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SyslogTarget::Unix(path) => write!(f, "unix:{}", path.display()),
            SyslogTarget::Udp(address) => write!(f, "udp://{address}"),
            SyslogTarget::Tcp(address) => write!(f, "tcp://{address}"),
            SyslogTarget::Tls(address) => write!(f, "tls://{address}"),
        }
    }
}

impl FromStr for SyslogTarget {
    type Err = SyslogTargetError;

    fn from_str(text: &str) -> Result<SyslogTarget, SyslogTargetError> {
        let (scheme, rest) = text.split_once(':').unwrap_or_default();
        let address = |usual: u16| {
            let address = rest.strip_prefix("//")?.trim_end_matches('/');
            let port =
                address.rsplit_once(':').filter(|(host, _)| !host.ends_with(':') && !address.ends_with(']'));
            match port {
                Some((host, port)) => {
                    (!host.is_empty() && port.parse::<u16>().is_ok()).then(|| address.to_owned())
                }
                None => (!address.is_empty()).then(|| format!("{address}:{usual}")),
            }
        };
        let target = match scheme {
            "unix" if !rest.is_empty() => Some(SyslogTarget::Unix(rest.trim_start_matches("//").into())),
            "udp" => address(514).map(SyslogTarget::Udp),
            "tcp" => address(514).map(SyslogTarget::Tcp),
            "tls" => address(6514).map(SyslogTarget::Tls),
            _ => None,
        };
        target.ok_or_else(|| SyslogTargetError(masked_url(text)))
    }
}

/// A text that is not a [`SyslogTarget`].
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no place for syslog messages; write unix:/dev/log, udp://HOST:514, tcp://HOST:514 or tls://HOST:6514"
)]
pub struct SyslogTargetError(String);

crate::__debug_as_display!(SyslogTargetError);

/// Sends each log record as a syslog message of RFC 5424.
///
/// APP-NAME is the service, MSGID is the event's name or else its target, the text is the record's message,
/// and the severity is the record's level. Ids and fields are structured data: `[throughline@32473
/// trace_id="…" span_id="…" order="7"]`. The name of a field keeps its printable ASCII characters, at most 32
/// of them, as the RFC requires.
///
/// While the receiver is unavailable, up to 4 MiB of messages wait for it, in order. Messages that find no
/// room are counted as `dropped[unreachable]`. Messages over UDP may be lost without notice. After a TCP
/// connection breaks, messages that may have been lost are sent again, so a message may arrive twice.
///
/// ```
/// use throughline_export::log::Syslog;
/// let syslog = Syslog::new("udp://127.0.0.1:514".parse()?, "shop").filter("info".parse()?);
/// // let config = throughline_std::Config::new("shop").exporter("syslog", syslog);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Syslog {
    target: SyslogTarget,
    facility: u8,
    hostname: String,
    app_name: String,
    filter: Filter,
    tls: Tls,
    socket: Option<Socket>,
    backlog: Backlog,
    /// Messages of the present batch, for a stream.
    batch: Vec<u8>,
    taken: u64,
    message: String,
}

impl Syslog {
    /// Sends to `target` under the name `service`, with facility 16 (local0) and the host name of this
    /// machine.
    pub fn new(target: SyslogTarget, service: &str) -> Syslog {
        Syslog {
            target,
            facility: 16,
            hostname: header_word(&hostname(), 255),
            app_name: header_word(service, 48),
            filter: Filter::all(),
            tls: Tls::default(),
            socket: None,
            backlog: Backlog::new(BACKLOG),
            batch: Vec::new(),
            taken: 0,
            message: String::new(),
        }
    }

    /// The facility's number, 0 to 23: 1 is user, 3 daemon, 16 to 23 are local0 to local7.
    #[must_use]
    pub fn facility(mut self, facility: u8) -> Syslog {
        self.facility = facility.min(23);
        self
    }

    /// The host name in the messages.
    #[must_use]
    pub fn hostname(mut self, name: &str) -> Syslog {
        self.hostname = header_word(name, 255);
        self
    }

    /// Takes only the records that `filter` takes. The default is all of them.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Syslog {
        self.filter = filter;
        self
    }

    /// Over TLS, trusts receivers whose certificate is signed by an authority in this PEM file, instead of by one in
    /// Mozilla's list.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read or has no certificate, or if TLS is not built in.
    pub fn ca_certificate(mut self, path: impl AsRef<Path>) -> Result<Syslog, ConfigError> {
        self.tls.trust_file(path.as_ref())?;
        Ok(self)
    }

    /// Over TLS, presents the certificate in this PEM file to a receiver that requires one. The key is its private
    /// key, as PEM without a passphrase.
    ///
    /// # Errors
    ///
    /// Fails if one of the files cannot be used, or if TLS is not built in.
    pub fn client_certificate(
        mut self,
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Syslog, ConfigError> {
        self.tls.identify(certificate.as_ref(), key.as_ref())?;
        Ok(self)
    }

    fn is_stream(&self) -> bool {
        matches!(self.target, SyslogTarget::Tcp(_) | SyslogTarget::Tls(_))
    }

    fn deliver(&mut self, deadline: &Deadline, last: bool) -> Result<(), ExportError> {
        if !self.batch.is_empty() {
            self.backlog.push(std::mem::take(&mut self.batch), std::mem::take(&mut self.taken));
        }
        let (target, tls, socket) = (&self.target, &self.tls, &mut self.socket);
        self.backlog.deliver(deadline, last, |body| {
            let sent = connect(target, tls, socket, deadline).and_then(|socket| socket.send(body));
            sent.map_err(|error| {
                *socket = None;
                let hint = match error.to_string().contains("certificate") {
                    true => "name the authority that signed its certificate (logging.syslog.certificate, ca_certificate)",
                    false => "check that a syslog daemon listens there",
                };
                let why = format!("{target} takes no syslog messages: {error}; {hint}");
                Failure::Later { why, after: None }
            })
        })
    }
}

impl Exporter for Syslog {
    fn wants(&self) -> Wants {
        Wants { logs: true, ..Wants::NOTHING }
    }

    fn log_filter(&self) -> Filter {
        self.filter.clone()
    }

    fn log(&mut self, log: &LogView<'_>) {
        self.message.clear();
        let header = Header { facility: self.facility, hostname: &self.hostname, app_name: &self.app_name };
        push_message(&mut self.message, &header, log);
        if self.is_stream() {
            // Writing to a Vec cannot fail.
            let _ = write!(self.batch, "{} {}", self.message.len(), self.message);
            self.taken += 1;
        } else {
            if matches!(self.target, SyslogTarget::Udp(_)) {
                cut(&mut self.message, DATAGRAM);
            }
            self.backlog.push(self.message.clone().into_bytes(), 1);
        }
    }

    fn flush(&mut self, deadline: &Deadline) -> Result<(), ExportError> {
        self.deliver(deadline, false)
    }

    fn finish(&mut self, deadline: &Deadline) -> Result<(), ExportError> {
        let delivered = self.deliver(deadline, true);
        if let Some(socket) = self.socket.take() {
            socket.close(deadline);
        }
        delivered
    }

    fn held(&self) -> u64 {
        self.backlog.held()
    }
}

/// Shortens a message to `most` bytes, with `…` at its end.
fn cut(message: &mut String, most: usize) {
    if message.len() > most {
        let end = (0..=most - '…'.len_utf8()).rev().find(|at| message.is_char_boundary(*at));
        message.truncate(end.unwrap_or(0));
        message.push('…');
    }
}

/// The common start of all messages of an exporter.
struct Header<'a> {
    facility: u8,
    hostname: &'a str,
    app_name: &'a str,
}

fn push_message(out: &mut String, header: &Header<'_>, log: &LogView<'_>) {
    let severity = match log.level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    };
    let priority = header.facility * 8 + severity;
    let (time, process) = (format::micros(log.time_unix_ns), std::process::id());
    let Header { hostname, app_name, .. } = header;
    let id = header_word(if log.event_name.is_empty() { log.target } else { log.event_name }, 32);
    // Writing to a String cannot fail.
    let _ = write!(out, "<{priority}>1 {time} {hostname} {app_name} {process} {id} ");
    push_structured(out, log);
    if !log.message.is_empty() {
        let text = message::render(log.message, log.fields.clone());
        // The byte order mark says that the text is UTF-8.
        let _ = write!(out, " \u{feff}{}", Escaped(&text));
    }
}

/// Appends ids and fields as structured data. The enterprise number is the one that IANA reserves for
/// examples, because this library has none of its own.
fn push_structured(out: &mut String, log: &LogView<'_>) {
    let start = out.len();
    if let Some((trace_id, span_id)) = log.span {
        let _ = write!(out, " trace_id=\"{trace_id}\" span_id=\"{span_id}\"");
    }
    for (name, value) in message::attributes(log) {
        out.push(' ');
        let name =
            name.chars().map(|c| if c.is_ascii_graphic() && !matches!(c, '=' | ']' | '"') { c } else { '_' });
        out.extend(name.take(32));
        out.push_str("=\"");
        for c in ValueText(&value).to_string().chars() {
            match c {
                '"' | '\\' | ']' => out.extend(['\\', c]),
                c if is_dangerous(c) => {
                    let _ = write!(out, "{}", Escaped(c.encode_utf8(&mut [0; 4])));
                }
                c => out.push(c),
            }
        }
        out.push('"');
    }
    if out.len() == start {
        out.push('-');
    } else {
        out.insert_str(start, "[throughline@32473");
        out.push(']');
    }
}

/// A word of a message's header: printable ASCII without spaces, or `-` if it is empty.
fn header_word(text: &str, most: usize) -> String {
    let word: String = text.chars().map(|c| if c.is_ascii_graphic() { c } else { '_' }).take(most).collect();
    if word.is_empty() { "-".into() } else { word }
}

fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::env::var("HOSTNAME"));
    name.unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_with_and_without_ports() {
        let target =
            |text: &str| text.parse::<SyslogTarget>().map(|target| target.to_string()).unwrap_or_default();
        assert_eq!(target("udp://a"), "udp://a:514");
        assert_eq!(target("tcp://a:6514/"), "tcp://a:6514");
        assert_eq!(target("tls://a"), "tls://a:6514");
        assert_eq!(target("tcp://[::1]:7"), "tcp://[::1]:7");
        assert_eq!(target("unix:///run/log"), "unix:/run/log");
        for wrong in ["", "a:514", "udp:a", "tcp://", "tcp://:514", "tcp://a:x", "http://a", "unix:"] {
            assert_eq!(target(wrong), "", "{wrong}");
        }
        assert_eq!(
            "http://a".parse::<SyslogTarget>().unwrap_err().to_string(),
            "`http://a` is no place for syslog messages; write unix:/dev/log, udp://HOST:514, tcp://HOST:514 or tls://HOST:6514"
        );
    }

    #[test]
    fn what_is_cut_ends_at_a_character_and_is_marked() {
        let mut text = "ab世界c".to_owned();
        cut(&mut text, 8);
        assert_eq!(text, "ab世…");
        cut(&mut text, 8);
        assert_eq!(text, "ab世…");
        cut(&mut text, 3);
        assert_eq!(text, "…");
    }
}
