//! Tests entries for systemd's journal by its documented protocol. A socket in the test stands in for the
//! journal, which is often not available.
#![cfg(unix)]

#[path = "support/logs.rs"]
mod logs;

use logs::log;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;
use throughline::{Level, Value};
use throughline_export::ledger::DropReason;
use throughline_export::log::Journald;
use throughline_export::{Deadline, Exporter};

/// Parses an entry as the journal does.
fn parse(mut entry: &[u8]) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut fields = Vec::new();
    while !entry.is_empty() {
        let end = entry.iter().position(|byte| *byte == b'\n').unwrap();
        let line = &entry[..end];
        entry = &entry[end + 1..];
        if let Some(equals) = line.iter().position(|byte| *byte == b'=') {
            fields.push((text(&line[..equals]), text(&line[equals + 1..])));
        } else {
            let length = u64::from_le_bytes(*entry.first_chunk().unwrap()) as usize;
            fields.push((text(line), text(&entry[8..8 + length])));
            assert_eq!(entry[8 + length], b'\n');
            entry = &entry[9 + length..];
        }
    }
    fields
}

#[test]
fn an_entry_as_the_documented_protocol_has_it_waits_until_the_socket_is_there() {
    let path = std::env::temp_dir().join(format!("throughline-journal-{}", std::process::id()));
    let mut journal = Journald::new("shop").socket(&path);
    let evil = Value::Str { text: "a\nMESSAGE=forged", truncated: false };
    journal.log(&log(
        Level::Warn,
        "left {n}",
        &[("user.name", evil), ("n", Value::U64(7)), ("gone", Value::Absent)],
    ));
    let error = journal.flush(&Deadline::within(Duration::from_secs(30))).unwrap_err();
    assert_eq!((error.reason, error.lost, journal.held()), (DropReason::Unreachable, 0, 1));
    assert!(error.message.ends_with("; check that systemd-journald runs"), "{}", error.message);

    let receiver = UnixDatagram::bind(&path).unwrap();
    journal.finish(&Deadline::within(Duration::from_secs(30))).unwrap();
    assert_eq!(journal.held(), 0);
    let mut buffer = [0; 4096];
    let n = receiver.recv(&mut buffer).unwrap();
    let expected = [
        ("MESSAGE", "left 7"),
        ("PRIORITY", "4"),
        ("SYSLOG_IDENTIFIER", "shop"),
        ("TARGET", "shop::events"),
        ("CODE_FILE", "src/events.rs"),
        ("CODE_LINE", "12"),
        ("TRACE_ID", "abababababababababababababababab"),
        ("SPAN_ID", "1212121212121212"),
        ("F_USER_NAME", "a\nMESSAGE=forged"),
        ("F_N", "7"),
    ];
    assert_eq!(parse(&buffer[..n]), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    std::fs::remove_file(path).unwrap();
}

#[test]
fn an_entry_that_is_too_long_is_counted_and_holds_up_no_other() {
    let path = std::env::temp_dir().join(format!("throughline-journal-long-{}", std::process::id()));
    let receiver = UnixDatagram::bind(&path).unwrap();
    let mut journal = Journald::new("shop").socket(&path);
    let long = "x".repeat(3 << 20);
    journal.log(&log(Level::Warn, &long, &[]));
    journal.log(&log(Level::Warn, "short", &[]));
    let error = journal.flush(&Deadline::within(Duration::from_secs(30))).unwrap_err();
    assert_eq!((error.reason, error.lost, journal.held()), (DropReason::Refused, 1, 0));
    let mut buffer = [0; 4096];
    let n = receiver.recv(&mut buffer).unwrap();
    assert_eq!(parse(&buffer[..n])[0].1, "short");
    std::fs::remove_file(path).unwrap();
}
