//! Live streams: what is shown while they run, in bounded memory, and how a signal ends them.

#[path = "../../decode/tests/common/mod.rs"]
mod common;
mod tool;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};

use common::scenario::{program, span};
use common::{Device, F, M, Rec};
use rustix::process::{Pid, Signal, kill_process};
use tool::{Bench, healthy, tool};

/// The tool, reading a pipe.
struct Live {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    _bench: Bench,
}

impl Live {
    fn start(more: &[&str]) -> Live {
        let bench = Bench::new(b"");
        let mut child = tool()
            .current_dir(bench.0.path())
            .args(["decode", "--elf", "fw.elf"])
            .args(more)
            .arg("-")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)).ok();
        });
        Live { child, input, lines, _bench: bench }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.input.as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// Waits for a line that contains `part`. Panics if the output ends without one.
    fn wait_for(&self, part: &str) -> String {
        let mut before = Vec::new();
        for line in &self.lines {
            if line.contains(part) {
                return line;
            }
            before.push(line);
        }
        panic!("no line with {part:?}, but\n{}", before.join("\n"));
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The most memory that the tool ever had, in bytes.
    #[cfg(target_os = "linux")]
    fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Exit code, remaining lines, and standard error.
    fn end(mut self) -> (Option<i32>, Vec<String>, String) {
        let lines: Vec<_> = self.lines.iter().collect();
        drop(self.input.take());
        let mut err = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (self.child.wait().unwrap().code(), lines, err)
    }
}

/// One round of a main loop whose root never ends: a child with an event, and sometimes a snapshot of the
/// metrics.
fn main_loop(device: &mut Device, n: u64) -> Vec<u8> {
    let (_, ids) = program();
    let round = |i: u64| {
        let (id, at) = (2 + n * 20 + i, n * 100_000 + i * 5_000);
        let fields = vec![F::F32(2.75), F::U32(n as u32)];
        let event = Rec::Event { callsite: ids.low, time: at + 100, span: Some((id, 1)), fields };
        [event, span(ids.adc, (id, Some(1), 1), at, 400)]
    };
    device.batch(n * 100_000, 1, &(0..20).flat_map(round).collect::<Vec<_>>());
    if n % 50 == 49 {
        device.metrics(n / 50, true, n * 100_000 + 99_999, &[(ids.samples, 0, &[], M::Counter(n))]);
        device.preamble();
    }
    device.frames.clear();
    std::mem::take(&mut device.wire)
}

#[test]
fn children_of_a_root_that_never_ends_are_shown_while_it_is_open_26() {
    let mut live = Live::start(&[]);
    let mut device = Device::new(32);
    device.preamble();
    // The stream is never silent, and never reaches the limit of held records.
    let mut shown = Vec::new();
    for n in 0.. {
        live.send(&main_loop(&mut device, n));
        shown.extend(live.lines.try_iter());
        if shown.iter().any(|line| line.contains("(continued)")) {
            break;
        }
        assert!(n < 4_000, "160,000 records, and none shown: {shown:?}");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert!(shown.iter().any(|line| line.contains("⋯ adc")), "{shown:?}");
    assert!(shown.iter().any(|line| line.contains("WARN cell 0 is low: 2.75 V")), "{shown:?}");
    drop(live.input.take());
    let (code, lines, err) = live.end();
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(lines.last().unwrap().ends_with("no damage"), "{lines:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_root_that_never_ends_takes_bounded_memory_and_nothing_is_lost_26() {
    let rounds = 1_000;
    let peak_of = |hold: &str| {
        let mut live = Live::start(&["--format", "json", "--hold", hold, "--patience", "1h"]);
        let mut device = Device::new(32);
        device.preamble();
        let mut lines = 0;
        let mut peak = 0;
        for n in 0..rounds {
            live.send(&main_loop(&mut device, n));
            lines += live.lines.try_iter().filter(|line| line.contains(r#""trace_id""#)).count() as u64;
            if n % 100 == 0 {
                peak = live.peak();
            }
        }
        drop(live.input.take());
        let (code, rest, _) = live.end();
        assert_eq!(code, Some(0));
        lines += rest.iter().filter(|line| line.contains(r#""trace_id""#)).count() as u64;
        assert_eq!(lines, rounds * 40, "every record is shown");
        peak
    };
    // With few records held, the tool needs only its own memory; each held record adds less than 1.5 kB.
    let (few, many) = (peak_of("100"), peak_of("16384"));
    assert!(many - few < 16_384 * 1_536, "{few} and {many} bytes");
    assert!(few < 32 << 20, "{few} bytes");
}

#[test]
fn metrics_are_shown_at_each_snapshot_of_a_live_stream_26() {
    let mut live = Live::start(&[]);
    let mut device = Device::new(32);
    device.preamble();
    for (n, value) in [(0, "49"), (1, "99")] {
        for n in n * 50..(n + 1) * 50 {
            live.send(&main_loop(&mut device, n));
        }
        // The stream stays open.
        live.wait_for("── metrics at ");
        assert!(live.wait_for("adc.samples").ends_with(&format!(" {value} sample")));
    }
    drop(live.input.take());
    let (code, lines, _) = live.end();
    assert_eq!(code, Some(0));
    assert!(lines.iter().any(|line| line.ends_with(" 99 sample")), "the latest, at the end: {lines:?}");
}

#[test]
fn a_signal_ends_a_live_stream_with_open_traces_metrics_and_the_summary_27() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut live = Live::start(&["--patience", "1h"]);
        let mut device = Device::new(32);
        device.preamble();
        for n in 0..50 {
            live.send(&main_loop(&mut device, n));
        }
        // The snapshot is shown when everything before it was read; the trace is still open. Then a part of a
        // frame follows.
        live.wait_for("── metrics at ");
        let next = main_loop(&mut device, 50);
        live.send(&next[..next.len() / 2]);
        live.signal(signal);
        live.wait_for(" trace ");
        live.wait_for("⋯ adc");
        live.wait_for("── stopped by a signal");
        live.wait_for("adc.samples");
        let summary = live.wait_for(" records emitted, ");
        assert!(
            summary.contains("2000 records emitted, 2000 decoded, 0 lost on the device, 0 on the link"),
            "{summary}"
        );
        assert!(summary.ends_with("no damage"), "the frame that was cut is none: {summary}");
        // Its input is still open.
        assert_eq!(live.child.wait().unwrap().code(), Some(0), "documented in --help");
    }
}

#[test]
fn a_signal_ends_json_with_a_summary_that_says_so_27() {
    let mut live = Live::start(&["--json", "--patience", "1h"]);
    let device = healthy();
    live.send(&device.wire);
    live.wait_for("\"span\"");
    live.signal(Signal::INT);
    let summary: serde_json::Value = serde_json::from_str(&live.wait_for("\"summary\"")).unwrap();
    assert_eq!((&summary["interrupted"], &summary["decoded"]), (&true.into(), &12.into()));
    assert_eq!(live.child.wait().unwrap().code(), Some(0));
}

#[test]
fn damage_is_still_told_by_the_exit_code_after_a_signal_27() {
    let mut live = Live::start(&[]);
    let mut device = healthy();
    let lost = device.frames[2].0.clone();
    device.wire.drain(lost);
    live.send(&device.wire);
    live.wait_for("lost here");
    live.signal(Signal::INT);
    let summary = live.wait_for(" records emitted, ");
    assert!(summary.contains("4 on the link (in 1 frame)"), "{summary}");
    assert_eq!(live.child.wait().unwrap().code(), Some(2));
}

#[test]
fn nothing_came_before_the_signal_says_so_27() {
    let mut live = Live::start(&[]);
    // The tool is ready for signals once it prints something, and a preamble is shown at once.
    let mut device = Device::new(32);
    live.send(&std::mem::take(&mut device.preamble().wire));
    live.wait_for("pump-7");
    live.signal(Signal::INT);
    let (code, lines, err) = live.end();
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(lines.last().unwrap().starts_with("1 frame in "), "{lines:?}");
}

#[test]
fn a_second_signal_ends_at_once_27() {
    // Nobody reads the tool's output, so it cannot finish.
    let bench = Bench::new(b"");
    let mut child = tool()
        .current_dir(bench.0.path())
        .args(["decode", "--elf", "fw.elf", "--json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut device = Device::new(32);
    device.preamble();
    let mut input = child.stdin.take().unwrap();
    // 40,000 records make far more output than a pipe holds, but fit into the pipe and the read-ahead.
    for n in 0..1_000 {
        input.write_all(&main_loop(&mut device, n)).unwrap();
    }
    let pid = Pid::from_child(&child);
    let status = loop {
        kill_process(pid, Signal::INT).unwrap();
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::yield_now();
    };
    // If the first signal had come before the tool listened, it would have killed the tool.
    assert_eq!(status.code(), Some(130));
}

#[test]
fn a_collector_that_never_answers_does_not_hold_up_what_is_shown_26() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, connections) = channel();
    std::thread::spawn(move || listener.incoming().try_for_each(|stream| sender.send(stream.unwrap())));
    let mut live = Live::start(&["--otlp", &url]);
    let device = healthy();
    let (first, rest) = device.wire.split_at(device.frames[2].0.start);
    live.send(first);
    live.wait_for("1.24 ms  measure");
    // One request is being answered, and never finishes.
    let _held = connections.recv().unwrap();
    live.send(rest);
    live.wait_for("1.24 ms  measure");
    live.wait_for("1.24 ms  measure");
    assert!(connections.try_recv().is_err(), "shown before the first request was given up");
    // After a second signal the tool does not wait for the collector.
    while live.child.try_wait().unwrap().is_none() {
        live.signal(Signal::INT);
        std::thread::yield_now();
    }
    assert_eq!(live.child.wait().unwrap().code(), Some(130));
}
