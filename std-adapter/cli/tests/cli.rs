//! The tool as a user sees it: outputs, exit codes and error messages.

#[path = "../../decode/tests/common/mod.rs"]
mod common;

mod tool;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Stdio;

use common::scenario::{STRINGS, everything, program, round, span};
use common::{BUILD_ID, Device, F, Rec, Site, elf};
use tool::{Bench, collect, healthy, said, text, tool};

#[test]
fn a_healthy_capture_is_shown_as_trees() {
    let bench = Bench::new(&healthy().wire);
    let output = bench.run(&["decode", "--elf", "fw.elf", "capture.bin"]);
    let (code, out, err) = said(&output);
    assert_eq!((code, err), (0, ""));
    let expected = "\
── pump-7 1122334455667788, epoch 0, build b1b1b1b1b1b1, tick 1000 ns
── times count from boot; --anchor TIME makes them wall-clock times
";
    assert!(out.starts_with(expected), "{out}");
    assert_eq!(out.matches("WARN cell 3 is low: 2.75 V").count(), 3, "{out}");
    assert_eq!(out.matches("310 µs  ├─ adc").count(), 3, "{out}");
    assert!(out.contains("1.24 ms  measure  cell=3 source=charger"), "{out}");
    assert!(!out.contains('\x1b'), "colour only on a terminal");
    let summary = "4 frames in 225 bytes: 12 records emitted, 12 decoded, 0 lost on the device, 0 on the link; no damage";
    assert_eq!(out.lines().last(), Some(summary));
}

#[test]
fn losses_on_the_device_are_no_damage() {
    let mut device = everything(32);
    let (_, ids) = program();
    // Leave out the frame whose callsite is unknown.
    let mut good = Device::new(32);
    good.preamble();
    good.lost = 5;
    good.batch(0, 0, &round(&ids, 0, 10));
    device.wire.clear();
    let bench = Bench::new(&good.wire);
    let output = bench.run(&["decode", "--elf", "fw.elf", "capture.bin"]);
    let (code, out, _) = said(&output);
    assert_eq!(code, 0);
    assert!(
        out.contains("9 records emitted, 4 decoded, 5 lost on the device, 0 on the link; no damage"),
        "{out}"
    );
}

#[test]
fn losses_on_the_link_and_every_kind_of_damage_exit_with_2_and_lose_nothing_good() {
    let device = healthy();
    let frames: Vec<_> = device.frames.iter().map(|(at, _)| at.clone()).collect();
    type Harm<'a> = Box<dyn Fn(&mut Vec<u8>) + 'a>;
    let cases: [(&str, Harm<'_>, &str); 4] = [
        (
            "a lost frame",
            Box::new(|w| drop(w.drain(frames[2].clone()))),
            "4 on the link (in 1 frame); no damage",
        ),
        (
            "a flipped bit",
            Box::new(|w| w[frames[2].start + 20] ^= 1),
            "4 on the link (in 1 frame); damage: 1 × frame with a wrong CRC",
        ),
        (
            "noise between frames",
            Box::new(|w| drop(w.splice(frames[2].start..frames[2].start, *b"\x09noise\0"))),
            "0 on the link; damage: 1 × run of bytes that is not a frame (7 bytes skipped)",
        ),
        (
            "a cut end",
            Box::new(|w| w.truncate(frames[3].end - 3)),
            "0 on the link; damage: 1 × frame cut short at the end",
        ),
    ];
    for (what, harm, summary) in cases {
        let mut wire = device.wire.clone();
        harm(&mut wire);
        let bench = Bench::new(&wire);
        let output = bench.run(&["decode", "--elf", "fw.elf", "capture.bin"]);
        let (code, out, err) = said(&output);
        assert_eq!((code, err), (2, ""), "{what}");
        assert!(out.lines().last().unwrap().contains(summary), "{what}: {out}");
        let kept = if what == "noise between frames" { 3 } else { 2 };
        assert_eq!(out.matches(" measure ").count(), kept, "{what}: {out}");
    }
}

#[test]
fn a_late_join_is_told_and_is_no_damage() {
    let device = healthy();
    // The capture starts within the first batch; a preamble comes only at the end.
    let mut late = device.clone();
    late.preamble();
    let bench = Bench::new(&late.wire[device.frames[1].0.start + 5..]);
    let output = bench.run(&["decode", "--elf", "fw.elf", "capture.bin"]);
    let (code, out, _) = said(&output);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("── joined within a frame: "), "{out}");
    assert!(out.contains("── joined late, after 4 records in 2 frames"), "{out}");
    assert!(out.contains("12 records emitted, 8 decoded"), "{out}");
    assert_eq!(out.matches("1.24 ms  measure").count(), 2, "{out}");
}

#[test]
fn a_wrong_elf_is_named_with_both_ids_and_records_are_shown_without_names() {
    let bench = Bench::new(&healthy().wire);
    bench.put("other.elf", &elf(Some(&common::scenario::sites()), STRINGS, &[7; 20]).0);
    let output = bench.run(&["decode", "--elf", "other.elf", "capture.bin"]);
    let (code, out, err) = said(&output);
    assert_eq!(code, 1);
    let (theirs, device) = ("07".repeat(20), "b1".repeat(20));
    let expected = format!(
        "throughline: other.elf has build id {theirs}, but the device runs {device}; \
         pass the ELF of that build, or flash this one\n"
    );
    assert_eq!(err, expected);
    assert_eq!(out.matches("callsite@0x0?").count(), 3, "{out}");
    assert!(!out.contains("measure"), "a wrong name is worse than none: {out}");
}

#[test]
fn every_error_names_the_file_and_the_next_step() {
    let bench = Bench::new(&healthy().wire);
    bench.put("plain.elf", &elf(None, STRINGS, &BUILD_ID).0);
    bench.put("fw.bin", b"\x00\x20\x00\x20");
    bench.put("empty.bin", b"");
    let decode = |elf: &str, input: &str| bench.run(&["decode", "--elf", elf, input]);
    let cases = [
        (
            decode("none.elf", "capture.bin"),
            "throughline: cannot read none.elf: ",
            "target/<target>/release/<name>",
        ),
        (decode("fw.bin", "capture.bin"), "throughline: fw.bin is not an ELF ", "not the .bin, .hex or .uf2"),
        (
            decode("plain.elf", "capture.bin"),
            "throughline: plain.elf has no section .throughline",
            "strip = false",
        ),
        (decode("fw.elf", "none.bin"), "throughline: cannot read none.bin: ", "pass a capture"),
        (
            decode("fw.elf", "empty.bin"),
            "throughline: no bytes came from empty.bin; ",
            "capture while the device runs",
        ),
        (bench.run(&["callsites", "--elf", "none.elf"]), "throughline: cannot read none.elf: ", "target/"),
        (bench.run(&["decode", "capture.bin"]), "error: the following required arguments", "--elf <FILE>"),
        (
            bench.run(&["decode", "--elf", "fw.elf", "--anchor", "noon", "capture.bin"]),
            "error: invalid value 'noon' for '--anchor <TIME>'",
            "RFC 3339",
        ),
        (
            bench.run(&["decode", "--elf", "fw.elf", "--otlp", "localhost", "capture.bin"]),
            "throughline: OTLP endpoint `localhost`",
            "http://localhost:4318",
        ),
        (
            bench.run(&["decode", "--elf", "fw.elf", "--otlp", "http://127.0.0.1:9", "capture.bin"]),
            "throughline: 0 records delivered, 0 rejected\nthroughline: capture.bin has no wall-clock time",
            "--anchor",
        ),
    ];
    for (output, begins, next) in &cases {
        let (code, _, err) = said(output);
        assert_eq!(code, 1, "{err}");
        assert!(err.starts_with(begins), "{err} does not begin with {begins}");
        assert!(err.contains(next), "{err} does not say {next}");
    }
}

#[test]
fn what_is_no_capture_says_so() {
    let bench = Bench::new(b"\0hello, this is a log file\nand not a capture\n\0");
    let output = bench.run(&["decode", "--elf", "fw.elf", "capture.bin"]);
    let (code, _, err) = said(&output);
    assert_eq!(code, 2);
    assert!(err.starts_with("throughline: capture.bin holds no throughline frame; check"), "{err}");
}

#[test]
fn json_is_one_object_a_line_of_the_documented_kinds() {
    let bench = Bench::new(&everything(32).wire);
    let output = bench.run(&["decode", "--elf", "fw.elf", "--format", "json", "capture.bin"]);
    let (code, out, err) = said(&output);
    assert_eq!((code, err), (2, ""), "one callsite is unknown");
    let readme = include_str!("../README.md");
    let mut kinds = Vec::new();
    for line in out.lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        let kind = object["kind"].as_str().unwrap().to_owned();
        // The README's table of this kind must list every member.
        let section = readme.split(&format!("### `{kind}`\n")).nth(1).expect("a section for each kind");
        let section = section.split("\n### ").next().unwrap();
        for member in object.as_object().unwrap().keys() {
            assert!(
                member == "kind" || section.contains(&format!("`{member}`")),
                "{kind}.{member} in README.md"
            );
        }
        kinds.push(kind);
    }
    for kind in ["preamble", "boot", "span", "event", "attach", "loss", "metric", "damage", "summary"] {
        assert!(kinds.iter().any(|k| k == kind), "{kind} among {kinds:?}");
    }
    let line = |part: &str| out.lines().find(|l| l.contains(part)).unwrap();
    let upload: serde_json::Value = serde_json::from_str(line("\"upload\"")).unwrap();
    assert_eq!(upload["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(upload["parent_span_id"], "00f067aa0ba902b7");
    assert_eq!(upload["start_ns"], 1_700_000_000_002_500_000u64);
    assert_eq!(upload["time_error_ns"], 1250);
    assert_eq!(upload["fields"]["retries"], -2, "added later");
    assert_eq!(upload["truncated"], serde_json::json!(["host"]));
}

#[test]
fn a_remote_trace_that_is_not_known_is_shown_without_an_id_and_counted_07() {
    let (_, ids) = program();
    let root = 1 << 31 | 5;
    let added = Rec::Fields { callsite: ids.retries, time: 3, span: (6, root), fields: vec![F::U32(1)] };
    let entry = span(ids.adc, (6, Some(root), root), 2, 10);
    let mut device = Device::new(32);
    // No attach record names the trace.
    device.preamble().batch(0, 0, &[span(ids.adc, (7, Some(6), root), 3, 2), entry, added]);
    let bench = Bench::new(&device.wire);
    let output = bench.run(&["decode", "--elf", "fw.elf", "capture.bin"]);
    let (_, out, _) = said(&output);
    assert!(out.contains("trace ⋯  (its remote trace is not known)\n"), "{out}");
    assert!(out.contains("⋯ adc") && out.contains("└─ adc"), "{out}");
    assert!(out.contains(", 3 of remote traces that are not known"), "{out}");
    let output = bench.run(&["decode", "--elf", "fw.elf", "--format", "json", "capture.bin"]);
    let (_, out, _) = said(&output);
    let objects: Vec<serde_json::Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let spans: Vec<_> = objects.iter().filter(|o| o["kind"] == "span").collect();
    assert_eq!(spans.len(), 2);
    assert!(spans.iter().all(|span| span["trace_id"].is_null() && span["span_id"].is_string()), "{out}");
    assert!(spans[0]["parent_span_id"].is_null() && spans[0]["parent_is_remote"] == true, "{out}");
    assert_eq!(spans[1]["parent_span_id"], spans[0]["span_id"]);
    assert_eq!(objects.last().unwrap()["unknown_parent"], 3);
}

#[test]
fn an_anchor_makes_times_wall_clock() {
    let bench = Bench::new(&healthy().wire);
    for anchor in ["2026-01-31T12:00:00Z", "1769860800000000000"] {
        let output = bench.run(&["decode", "--elf", "fw.elf", "--anchor", anchor, "capture.bin"]);
        let (_, out, _) = said(&output);
        assert!(
            out.contains("times are by the given anchor") && out.contains("12:00:00.000000 trace"),
            "{out}"
        );
    }
}

#[test]
fn a_live_stream_is_shown_while_it_runs() {
    let bench = Bench::new(b"");
    let mut child = tool()
        .current_dir(bench.0.path())
        .args(["decode", "--elf", "fw.elf", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let device = healthy();
    let (now, later) = device.wire.split_at(device.frames[2].0.start + 10);
    stdin.write_all(now).unwrap();
    // Nothing more is sent and the stream stays open, but the first trace must be shown.
    assert!(lines.any(|line| line.contains("times are by arrival here")));
    assert!(lines.any(|line| line.contains("measure")));
    stdin.write_all(later).unwrap();
    drop(stdin);
    assert_eq!(lines.by_ref().filter(|line| line.contains("measure")).count(), 2);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn otlp_is_sent_on_with_the_devices_name_or_the_one_given() {
    for (name, expected) in [(None, "pump-7"), (Some("battery"), "battery")] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let collector = std::thread::spawn(move || collect(&listener));
        let mut device = everything(32);
        device.wire.truncate(device.frames[7].0.start);
        let bench = Bench::new(&device.wire);
        let mut args = vec!["decode", "--elf", "fw.elf", "--format", "none", "--otlp", &url, "capture.bin"];
        args.extend(name.iter().flat_map(|n| ["--service-name", n]));
        let output = bench.run(&args);
        let (code, out, err) = said(&output);
        assert_eq!((code, out), (2, ""), "one callsite is unknown: {err}");
        // 7 spans and 4 events; 9 series, then 2.
        assert_eq!(err, "throughline: 20 records delivered, 0 rejected\n");
        let requests = collector.join().unwrap();
        let paths: Vec<_> = requests.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["/v1/traces", "/v1/logs", "/v1/metrics"]);
        let holds = |body: &[u8], part: &[u8]| body.windows(part.len()).any(|w| w == part);
        for (path, body) in &requests {
            assert!(holds(body, expected.as_bytes()) && holds(body, b"1122334455667788"), "{path}");
        }
        assert!(holds(&requests[0].1, b"measure") && holds(&requests[0].1, &common::scenario::REMOTE_TRACE));
        assert!(holds(&requests[1].1, b"cell 3 is low: 2.75 V"));
        assert!(holds(&requests[2].1, b"adc.latency"));
    }
}

#[test]
fn a_message_is_filled_in_alike_in_trees_in_json_and_by_the_exporters_renderer_20() {
    use throughline::Value;
    let messages = ["{ n } left", "{n:>4}|{n:#x}", "{} of {n}", "{other} {{n}}"];
    let sites: Vec<_> =
        messages.map(|name| Site { kind: 1, level: 3, name, fields: &["n"], ..Site::default() }).into();
    let (file, ids) = elf(Some(&sites), "", &BUILD_ID);
    let mut device = Device::new(32);
    device.preamble();
    let event =
        |(time, id): (u64, &u64)| Rec::Event { callsite: *id, time, span: None, fields: vec![F::U32(26)] };
    device.batch(0, 1, &(1..).zip(&ids).map(event).collect::<Vec<_>>());
    let bench = Bench::new(&device.wire);
    bench.put("fw.elf", &file);
    let tree = bench.run(&["decode", "--elf", "fw.elf", "capture.bin"]);
    let json = bench.run(&["decode", "--elf", "fw.elf", "--json", "capture.bin"]);
    for message in messages {
        let text = throughline_export::message::render(message, [("n", Value::U64(26))].into_iter());
        assert!(said(&tree).1.contains(&format!(" INFO {text}")), "{text}: {}", said(&tree).1);
        assert!(said(&json).1.contains(&format!("\"message\":\"{text}\"")), "{text}: {}", said(&json).1);
    }
    assert!(said(&tree).1.contains("INFO 26 left\n"));
}

#[test]
fn the_name_of_an_event_is_shown_in_trees_and_in_json() {
    let named = Site { kind: 1, level: 3, name: "ada came in", unit: "user.login", ..Site::default() };
    let plain = Site { unit: "", name: "of no name", ..named };
    let (file, ids) = elf(Some(&[named, plain]), "", &BUILD_ID);
    let mut device = Device::new(32);
    device.preamble();
    let event = |(time, id): (u64, &u64)| Rec::Event { callsite: *id, time, span: None, fields: vec![] };
    device.batch(0, 1, &(1..).zip(&ids).map(event).collect::<Vec<_>>());
    let bench = Bench::new(&device.wire);
    bench.put("fw.elf", &file);
    let tree = bench.run(&["decode", "--elf", "fw.elf", "capture.bin"]);
    let tree = said(&tree).1;
    assert!(
        tree.contains(" INFO user.login: ada came in\n") && tree.contains(" INFO of no name\n"),
        "{tree}"
    );
    let json = bench.run(&["decode", "--elf", "fw.elf", "--json", "capture.bin"]);
    let objects = said(&json).1.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let names: Vec<_> = objects.filter(|o| o["kind"] == "event").map(|o| o["event_name"].clone()).collect();
    assert_eq!(names, [serde_json::json!("user.login"), serde_json::Value::Null]);
}

#[test]
fn callsites_are_listed() {
    let bench = Bench::new(b"");
    let output = bench.run(&["callsites", "--elf", "fw.elf"]);
    let (code, out, _) = said(&output);
    assert_eq!(code, 0);
    assert_eq!(out.lines().last(), Some("13 callsites in fw.elf"));
    assert!(
        out.contains("event            WARN   cell {cell} is low: {} V [volt, cell]  src/pump.rs:44"),
        "{out}"
    );
    let output = bench.run(&["callsites", "--elf", "fw.elf", "--json"]);
    let objects: Vec<serde_json::Value> =
        text(&output.stdout).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(objects.len(), 13);
    assert_eq!(
        (&objects[6]["name"], &objects[6]["labels"]),
        (&"adc.samples".into(), &serde_json::json!([["adc", "1"]]))
    );
}

#[test]
fn help_has_examples_and_exit_codes() {
    let output = tool().args(["decode", "--help"]).output().unwrap();
    let (code, out, _) = said(&output);
    assert_eq!(code, 0);
    assert!(
        out.contains("Examples:") && out.contains("Exit codes:") && out.contains("--anchor <TIME>"),
        "{out}"
    );
}
