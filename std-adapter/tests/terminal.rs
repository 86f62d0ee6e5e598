//! The terminal, and lines on standard error: what cannot be written is counted, and text from outside forges nothing.

mod support;

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{assert_balanced, in_own_process, in_own_process_with, ours, stderr_of, until};
use throughline::{info, span};
use throughline_std::terminal::Style;
use throughline_std::view::SpanView;
use throughline_std::{Config, Deadline, DropReason, ExportError, Exporter, Guard};

const LONG: Duration = Duration::from_secs(30);

fn start(config: &Config) -> Guard {
    throughline_std::init(config).unwrap()
}

/// A writer that fails while the flag is set.
struct Fails(Arc<AtomicBool>);

impl Write for Fails {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.0.load(Ordering::Relaxed) { Err(io::Error::other("no paper")) } else { Ok(buf.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_the_terminal_cannot_write_is_not_delivered_17() {
    in_own_process("what_the_terminal_cannot_write_is_not_delivered_17", || {
        let fails = Arc::new(AtomicBool::new(true));
        let out = Arc::new(Mutex::new(Fails(Arc::clone(&fails))));
        let config = Config::new("svc").without_otlp().terminal_to(out, Style::PLAIN).report_errors(false);
        let guard = start(&config);
        for _ in 0..7 {
            drop(span!("lost"));
        }
        until("the error is known", || {
            guard.ledger().exporter("terminal").dropped_for(DropReason::WriteError) == 7
        });
        assert!(guard.last_error().unwrap().contains("no paper"));
        fails.store(false, Ordering::Relaxed);
        drop(span!("drawn"));
        let report = guard.shutdown(LONG);
        assert!(report.in_time, "{report:?}");
        assert_balanced(&report.ledger);
        let terminal = report.ledger.exporter("terminal");
        assert_eq!(
            (terminal.input, terminal.output, terminal.dropped_total()),
            (8, 1, 7),
            "{}",
            report.ledger
        );
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_device_is_a_write_error_17() {
    const TEST: &str = "a_full_device_is_a_write_error_17";
    if std::env::var("THROUGHLINE_TEST_FULL").is_err() {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", TEST, "--nocapture"]).env("THROUGHLINE_TEST_FULL", "1");
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let status = command.stderr(full).status().unwrap();
        return assert!(status.success(), "{status}");
    }
    let guard = start(&Config::new("svc").without_otlp().terminal(true));
    for _ in 0..7 {
        drop(span!("lost"));
    }
    let report = guard.shutdown(LONG);
    let terminal = report.ledger.exporter("terminal");
    let counts = (terminal.input, terminal.output, terminal.dropped_for(DropReason::WriteError));
    // Standard error cannot report it, and neither can panic messages.
    if counts != (7, 0, 7) || report.last_error.is_none() {
        println!("{}", report.ledger);
        std::process::exit(1);
    }
}

/// Fails at each flush.
struct Refuses(Arc<AtomicU64>);

impl Exporter for Refuses {
    fn span(&mut self, _: &SpanView<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn flush(&mut self, _deadline: &Deadline) -> Result<(), ExportError> {
        // A count beyond the number of records means all of them.
        Err(ExportError::new(DropReason::Refused, u64::MAX, "not \x1b[2J here\nthroughline: forged"))
    }
}

#[test]
fn what_an_exporter_says_cannot_forge_lines_15() {
    let told = stderr_of("what_an_exporter_says_cannot_forge_lines_15", || {
        let taken = Arc::new(AtomicU64::new(0));
        let guard =
            start(&Config::new("svc").without_otlp().exporter("refuses", Refuses(Arc::clone(&taken))));
        drop(span!("refused"));
        let report = guard.shutdown(LONG);
        assert_balanced(&report.ledger);
        assert_eq!(report.ledger.exporter("refuses").dropped_for(DropReason::Refused), 1);
        assert_eq!(taken.load(Ordering::Relaxed), 1);
    });
    let Some(told) = told else { return };
    let lines = ours(&told);
    assert_eq!(lines.len(), 3, "{told}");
    assert_eq!(lines[0], r"throughline: refuses: not \u{1b}[2J here\nthroughline: forged");
}

#[test]
fn text_from_outside_is_escaped_on_the_terminal_15() {
    let env = [("OTEL_SERVICE_NAME", "svc")];
    in_own_process_with("text_from_outside_is_escaped_on_the_terminal_15", &env, || {
        let text = Arc::new(Mutex::new(Vec::new()));
        let guard = start(&Config::new("svc").without_otlp().terminal_to(text.clone(), Style::PLAIN));
        info!("msg {v}", v = "a\n00:00:00.000000 ERROR forged\x1b[2J");
        info!("with", error.message = "txt\u{202e}exe", other = "\u{9b}2J");
        throughline::counter_family!("c", labels = ["who"], capacity = 8).add(["a\nb\x1b[0m"], 1);
        assert!(guard.shutdown(LONG).complete);
        let text = String::from_utf8(text.lock().unwrap().clone()).unwrap();
        assert!(!text.contains(|c: char| throughline_std::text::is_dangerous(c) && c != '\n'), "{text:?}");
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.contains(r"msg a\n00:00:00.000000 ERROR forged\u{1b}[2J"), "{text}");
    });
}
