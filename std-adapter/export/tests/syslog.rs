//! Tests syslog messages: their format, and their delivery to a socket, to a receiver that starts late, and
//! to a real rsyslog.
#![cfg(unix)]

#[cfg(feature = "tls")]
#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/logs.rs"]
mod logs;

use logs::log;
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use throughline::{Level, Value};
use throughline_export::ledger::DropReason;
use throughline_export::log::{Syslog, SyslogTarget};
use throughline_export::{Deadline, Exporter};

const PATIENCE: Duration = Duration::from_secs(30);

fn text(text: &str) -> Value<'_> {
    Value::Str { text, truncated: false }
}

fn syslog(target: SyslogTarget) -> Syslog {
    Syslog::new(target, "my shop").hostname("box")
}

fn flush(syslog: &mut Syslog) {
    syslog.flush(&Deadline::within(PATIENCE)).unwrap();
}

fn expected(priority: u8, fields: &str, message: &str) -> String {
    let ids = "trace_id=\"abababababababababababababababab\" span_id=\"1212121212121212\"";
    format!(
        "<{priority}>1 2026-01-22T10:00:00.123456Z box my_shop {} shop::events [throughline@32473 {ids}{fields}] \u{feff}{message}",
        std::process::id()
    )
}

#[test]
fn a_datagram_has_the_form_of_rfc_5424() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut syslog = syslog(SyslogTarget::Udp(receiver.local_addr().unwrap().to_string()));
    let fields =
        [("user name=", text("a\"b\\c]d\n\u{1b}[2J")), ("n", Value::I64(-3)), ("gone", Value::Absent)];
    syslog.log(&log(Level::Warn, "left {n}\nforged", &fields));
    syslog.log(&log(Level::Error, "", &[("long", text(&"世".repeat(1000)))]));
    flush(&mut syslog);
    let mut buffer = [0; 4096];
    let mut next = || {
        let n = receiver.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..n].to_vec()).unwrap()
    };
    let fields = r#" user_name_="a\"b\\c\]d\n\u{1b}[2J" n="-3""#;
    assert_eq!(next(), expected(132, fields, "left -3\\nforged"));
    let long = next();
    assert!(long.starts_with("<131>1 ") && long.ends_with("世…"), "{long}");
    assert!((2046..=2048).contains(&long.len()), "{}", long.len());
}

#[test]
fn a_stream_has_the_length_before_each_message() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut syslog = syslog(SyslogTarget::Tcp(listener.local_addr().unwrap().to_string())).facility(1);
    syslog.log(&log(Level::Info, "one", &[]));
    syslog.log(&log(Level::Debug, "two", &[]));
    flush(&mut syslog);
    drop(syslog);
    let mut received = String::new();
    listener.accept().unwrap().0.read_to_string(&mut received).unwrap();
    let (one, two) = (expected(14, "", "one"), expected(15, "", "two"));
    assert_eq!(received, format!("{} {one}{} {two}", one.len(), two.len()));
}

#[test]
fn what_waits_for_a_receiver_that_is_away_arrives_in_order_when_it_comes() {
    let path = std::env::temp_dir().join(format!("throughline-syslog-{}", std::process::id()));
    let mut syslog = syslog(SyslogTarget::Unix(path.clone()));
    syslog.log(&log(Level::Info, "one", &[]));
    let error = syslog.flush(&Deadline::within(PATIENCE)).unwrap_err();
    assert_eq!((error.reason, error.lost, syslog.held()), (DropReason::Unreachable, 0, 1));
    let hint = "check that a syslog daemon listens there";
    assert!(error.message.starts_with("unix:/") && error.message.ends_with(hint), "{}", error.message);
    let receiver = UnixDatagram::bind(&path).unwrap();
    syslog.log(&log(Level::Info, "two", &[]));
    syslog.finish(&Deadline::within(PATIENCE)).unwrap();
    assert_eq!(syslog.held(), 0);
    let mut buffer = [0; 1024];
    for message in ["one", "two"] {
        let n = receiver.recv(&mut buffer).unwrap();
        assert_eq!(std::str::from_utf8(&buffer[..n]).unwrap(), expected(134, "", message));
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_connection_that_the_receiver_closed_is_made_anew() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut syslog = syslog(SyslogTarget::Tcp(listener.local_addr().unwrap().to_string()));
    for message in ["one", "two"] {
        syslog.log(&log(Level::Info, message, &[]));
        flush(&mut syslog);
        let mut connection = listener.accept().unwrap().0;
        let whole = expected(134, "", message);
        let mut received = vec![0; whole.len() + 4];
        connection.read_exact(&mut received).unwrap();
        assert_eq!(String::from_utf8(received).unwrap(), format!("{} {whole}", whole.len()));
    }
}

/// A running rsyslogd. Dropping it kills the daemon and removes its files.
struct Rsyslog {
    child: Child,
    folder: PathBuf,
    tcp: u16,
    tls: u16,
}

impl Rsyslog {
    /// Starts the daemon, configured to write the parts of each message that it understood as a line of JSON.
    /// With `tls`, it also listens with the certificates of [`certificates`], for clients that have one.
    fn start(name: &str, tls: bool) -> Rsyslog {
        let program = std::env::var("THROUGHLINE_RSYSLOGD").unwrap();
        let folder = std::env::temp_dir().join(format!("throughline-rsyslog-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (tcp, tls_port, here) = (free(), free(), folder.display());
        let with_tls = format!(
            r#"
global(DefaultNetstreamDriverCAFile="{here}/ca.pem" DefaultNetstreamDriverCertFile="{here}/server.pem" DefaultNetstreamDriverKeyFile="{here}/server.key")
input(type="imtcp" address="127.0.0.1" port="{tls_port}" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="x509/certvalid")
"#
        );
        #[cfg(feature = "tls")]
        if tls {
            certificates::write(&folder, "127.0.0.1");
        }
        let with_tls = if tls { with_tls } else { String::new() };
        let config = format!(
            r#"
module(load="imtcp")
{with_tls}
module(load="imuxsock" SysSock.Use="off")
input(type="imtcp" address="127.0.0.1" port="{tcp}")
input(type="imuxsock" Socket="{here}/log" UseSpecialParser="off" ParseHostname="on" IgnoreTimestamp="off" UseSysTimeStamp="off" RateLimit.Interval="0")
template(name="json" type="list") {{
  constant(value="{{")
  property(name="timestamp" dateFormat="rfc3339" format="jsonf") constant(value=",")
  property(name="syslogseverity-text" outname="severity" format="jsonf") constant(value=",")
  property(name="syslogfacility-text" outname="facility" format="jsonf") constant(value=",")
  property(name="app-name" format="jsonf") constant(value=",")
  property(name="msgid" format="jsonf") constant(value=",")
  property(name="structured-data" format="jsonf") constant(value=",")
  property(name="msg" format="jsonf")
  constant(value="}}\n")
}}
action(type="omfile" file="{here}/out" template="json" asyncWriting="off")
"#
        );
        std::fs::write(folder.join("conf"), config).unwrap();
        let child = Command::new(program)
            .args(["-n", "-f"])
            .arg(folder.join("conf"))
            .arg("-i")
            .arg(folder.join("pid"))
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        Rsyslog { child, folder, tcp, tls: tls_port }
    }

    /// All lines that it has written, once there are at least `n`.
    fn lines(&self, n: usize) -> Vec<serde_json::Value> {
        let deadline = Deadline::within(PATIENCE);
        loop {
            let text = std::fs::read_to_string(self.folder.join("out")).unwrap_or_default();
            if text.matches('\n').count() >= n {
                return text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            }
            assert!(deadline.pause(Duration::from_millis(10)), "rsyslogd has written only this: {text}");
        }
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
#[ignore = "needs rsyslogd, whose path is in THROUGHLINE_RSYSLOGD; `cargo xtask test --only logs` installs it"]
fn a_real_rsyslog_understands_every_part() {
    let rsyslog = Rsyslog::start("plain", false);
    let unix = SyslogTarget::Unix(rsyslog.folder.join("log"));
    for target in [SyslogTarget::Tcp(format!("127.0.0.1:{}", rsyslog.tcp)), unix] {
        let mut syslog = syslog(target).facility(3);
        let fields = [("order", text("a\"b]c")), ("n", Value::U64(7))];
        syslog.log(&log(Level::Error, "Grüße {n}", &fields));
        // The daemon may still be starting, so `finish` retries until it listens.
        syslog.finish(&Deadline::within(PATIENCE)).unwrap();
    }
    for line in rsyslog.lines(2) {
        assert_understood(&line);
    }
}

/// Checks the parts of the message that the tests with a real rsyslog send.
fn assert_understood(line: &serde_json::Value) {
    let ids = "trace_id=\"abababababababababababababababab\" span_id=\"1212121212121212\"";
    assert_eq!(line["timestamp"], "2026-01-22T10:00:00.123456Z");
    assert_eq!((&line["severity"], &line["facility"]), (&"err".into(), &"daemon".into()));
    assert_eq!((&line["app-name"], &line["msgid"]), (&"my_shop".into(), &"shop::events".into()));
    let data = format!(r#"[throughline@32473 {ids} order="a\"b\]c" n="7"]"#);
    assert_eq!(line["structured-data"], data);
    assert_eq!(line["msg"].as_str().unwrap().trim_start_matches('\u{feff}'), "Grüße 7");
}

#[cfg(feature = "tls")]
#[test]
#[ignore = "needs rsyslogd, whose path is in THROUGHLINE_RSYSLOGD; `cargo xtask test --only logs` installs it"]
fn a_real_rsyslog_takes_messages_over_tls_from_a_client_that_it_knows() {
    let rsyslog = Rsyslog::start("tls", true);
    let file = |name: &str| rsyslog.folder.join(name);
    let target = SyslogTarget::Tls(format!("127.0.0.1:{}", rsyslog.tls));
    let with_authority = || syslog(target.clone()).facility(3).ca_certificate(file("ca.pem")).unwrap();
    let fields = [("order", text("a\"b]c")), ("n", Value::U64(7))];
    for _ in 0..2 {
        let mut syslog = with_authority().client_certificate(file("client.pem"), file("client.key")).unwrap();
        syslog.log(&log(Level::Error, "Grüße {n}", &fields));
        syslog.log(&log(Level::Error, "Grüße {n}", &fields));
        syslog.finish(&Deadline::within(PATIENCE)).unwrap();
    }
    for line in rsyslog.lines(4) {
        assert_understood(&line);
    }
}
