//! Texts from outside (a device, an ELF, a collector) that would forge lines or command a terminal if they
//! were printed unchanged.

#[path = "../../decode/tests/common/mod.rs"]
mod common;
mod tool;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use common::{BUILD_ID, Device, F, M, Rec, Site, elf};
use tool::{Bench, collect, healthy, said};

/// A forged line, a cleared screen, a window title, a C1 command, DEL, and text with its direction reversed.
const FORGED: &str =
    "a\n00:00:00.000000 ERROR forged\r\x1b[2J\x1b]0;title\x07\u{9b}2J\x7f\u{202e}txt\u{2066}\u{2028}b";

fn is_dangerous(c: char) -> bool {
    c.is_control() && c != '\n'
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A device that uses `text` for every text in its program and its records.
fn device(text: &'static str) -> (Bench, Device) {
    let fields: &'static [&'static str] = Box::leak(vec![text].into_boxed_slice());
    let labels: &'static [(&str, &str)] = Box::leak(vec![(text, text)].into_boxed_slice());
    let site = |kind| Site {
        kind,
        level: 3,
        name: text,
        unit: text,
        description: text,
        fields,
        labels: if kind > 2 { labels } else { &[] },
        ..Site::default()
    };
    let sites: Vec<_> = (0..7).map(site).collect();
    let (file, ids) = elf(Some(&sites), text, &BUILD_ID);
    let mut device = Device::new(32);
    device.name = text;
    device.unix = (1_700_000_000_000_000_000, 1);
    device.preamble();
    let values = || vec![F::Text(text.into(), true), F::Static(common::RODATA.into(), text.len() as u64)];
    let span = |id, parent, start| Rec::Span {
        callsite: ids[0],
        id,
        parent,
        root: 1,
        start,
        duration: 5,
        status: 2,
        busy: Some(3),
        fields: values(),
    };
    device.batch(
        1,
        1,
        &[
            Rec::Event { callsite: ids[1], time: 2, span: Some((2, 1)), fields: values() },
            Rec::Event { callsite: ids[1], time: 3, span: None, fields: values() },
            Rec::Fields { callsite: ids[2], time: 3, span: (9, 1), fields: values() },
            span(2, Some(1), 2),
            span(1, None, 1),
        ],
    );
    let histogram = M::Histogram { scale: 0, sum: 3, zeros: 0, first: 0, buckets: vec![1, 2] };
    device.metrics(
        0,
        true,
        10,
        &[
            (ids[3], 0, &[text], M::Counter(1)),
            (ids[4], 0, &[text], M::UpDown(1)),
            (ids[5], 0, &[text], M::GaugeInt(1)),
            (ids[6], 0, &[text], histogram),
        ],
    );
    let bench = Bench::new(&device.wire);
    bench.put("fw.elf", &file);
    (bench, device)
}

#[test]
fn texts_from_a_device_and_an_elf_forge_no_line_and_command_no_terminal_15() {
    let ((tame, _), (hostile, _)) = (device("tame"), device(FORGED));
    let commands: [&[&str]; 4] = [
        &["decode", "--elf", "fw.elf", "capture.bin"],
        &["decode", "--elf", "fw.elf", "--json", "capture.bin"],
        &["callsites", "--elf", "fw.elf"],
        &["callsites", "--json", "--elf", "fw.elf"],
    ];
    for args in commands {
        let (expected, output) = (tame.run(args), hostile.run(args));
        let ((code, expected, _), (same, out, err)) = (said(&expected), said(&output));
        assert_eq!((code, err), (same, ""), "{args:?}");
        assert_eq!(out.chars().find(|c| is_dangerous(*c)), None, "{args:?}: {out}");
        assert_eq!(out.lines().count(), expected.lines().count(), "{args:?}: {out}");
        assert!(!out.lines().any(|line| line.starts_with("00:00:00.000000 ERROR forged")), "{args:?}: {out}");
    }
    // JSON contains the same text, escaped.
    let output = hostile.run(commands[1]);
    let lines = said(&output).1.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let span = lines.into_iter().find(|object| object["kind"] == "span").unwrap();
    assert_eq!((&span["name"], &span["fields"][FORGED]), (&FORGED.into(), &FORGED.into()));
}

/// A device that records a password in a span, an event and a label.
fn careless() -> Bench {
    const FIELDS: &[&str] = &["userPassword", "user"];
    let site = |kind, name, fields| Site { kind, level: 3, name, fields, ..Site::default() };
    let sites = [
        site(0, "login", FIELDS),
        site(1, "{user} has {userPassword}", FIELDS),
        site(3, "logins", &["api_key"]),
    ];
    let (file, ids) = elf(Some(&sites), "", &BUILD_ID);
    let mut device = Device::new(32);
    device.preamble();
    let fields = || vec![F::Text("hunter2".into(), false), F::Text("ada".into(), false)];
    let span = Rec::Span {
        callsite: ids[0],
        id: 1,
        parent: None,
        root: 1,
        start: 1,
        duration: 5,
        status: 0,
        busy: None,
        fields: fields(),
    };
    device.batch(
        1,
        1,
        &[Rec::Event { callsite: ids[1], time: 2, span: Some((1, 1)), fields: fields() }, span],
    );
    device.batch(9, 0, &[Rec::Event { callsite: ids[1], time: 9, span: None, fields: fields() }]);
    device.metrics(0, true, 10, &[(ids[2], 0, &["hunter2"], M::Counter(1))]);
    let bench = Bench::new(&device.wire);
    bench.put("fw.elf", &file);
    bench
}

#[test]
fn secrets_are_shown_and_sent_only_if_the_user_says_so() {
    let bench = careless();
    for format in ["tree", "json"] {
        let args = ["decode", "--elf", "fw.elf", "--format", format, "capture.bin"];
        let output = bench.run(&args);
        let (code, out, err) = said(&output);
        assert_eq!((code, err), (0, ""));
        assert!(!out.contains("hunter2") && out.contains("ada has [REDACTED]"), "{out}");
        let output = bench.run(&[&args[..], &["--no-redact"]].concat());
        let (_, out, _) = said(&output);
        assert!(out.contains("ada has hunter2") && !out.contains("[REDACTED]"), "{out}");
        assert!(out.matches("hunter2").count() >= 4, "the span, both events, the label: {out}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let received = std::thread::spawn(move || collect(&listener));
    let args =
        ["decode", "--elf", "fw.elf", "--format", "none", "--anchor", "1", "--otlp", &url, "capture.bin"];
    assert_eq!(said(&bench.run(&args)).0, 0);
    for (path, body) in received.join().unwrap() {
        let text = String::from_utf8_lossy(&body);
        assert!(!text.contains("hunter2"), "{path}");
        assert!(text.contains("[REDACTED]"), "{path}");
    }
}

#[test]
fn a_collector_that_refuses_cannot_command_the_terminal_15() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || listener.incoming().for_each(|stream| refuse(stream.unwrap())));
    let bench = Bench::new(&healthy().wire);
    let anchor = "2026-01-31T12:00:00Z";
    let output = bench.run(&[
        "decode",
        "--elf",
        "fw.elf",
        "--format",
        "none",
        "--anchor",
        anchor,
        "--otlp",
        &url,
        "capture.bin",
    ]);
    let (code, _, err) = said(&output);
    assert_eq!(code, 1);
    assert!(err.contains("forged"), "the answer is told: {err}");
    assert_eq!(err.chars().find(|c| is_dangerous(*c)), None, "{err}");
    assert!(err.lines().all(|line| line.starts_with("throughline: ")), "{err}");
}

/// Answers one request with a refusal.
fn refuse(stream: TcpStream) {
    let mut reader = BufReader::new(stream);
    let mut len = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(n) = line.to_lowercase().strip_prefix("content-length:") {
            len = n.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    reader.read_exact(&mut vec![0; len]).unwrap();
    // The client itself removes control characters, so only the last one shows whether this tool escapes.
    let answer = "no\x1b[2J\n00:00:00.000000 ERROR forged\u{202e}txt";
    let head = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length:";
    write!(reader.get_mut(), "{head} {}\r\n\r\n{answer}", answer.len()).unwrap();
}

#[test]
fn a_chain_of_spans_as_deep_as_what_is_held_is_shown_26() {
    let mut device = Device::new(32);
    device.preamble();
    let depth = 30_000;
    for first in (1..=depth).step_by(100) {
        let span =
            |id: u64| common::scenario::span(0, (id, (id > 1).then(|| id - 1), 1), id, 2 * (depth - id) + 1);
        device.batch(0, 1, &(first..first + 100).map(span).collect::<Vec<_>>());
    }
    let bench = Bench::new(&device.wire);
    let output = bench.run(&["decode", "--elf", "fw.elf", "capture.bin"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let (_, out, _) = said(&output);
    assert_eq!(out.matches(" measure").count() as u64, depth);
}
