//! Profiles that are asked for over HTTP, as `go tool pprof` does.

use crate::support::free_address;
use crate::{Folder, price};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use throughline_std::admin::AdminOptions;
use throughline_std::profiling::{CpuOptions, ProfilingOptions, Report};
use throughline_std::{Config, init};

/// The status, the head and the body of an answer.
fn get(port: u16, path: &str) -> (u16, String, Vec<u8>) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|it| it == b"\r\n\r\n").unwrap() + 4;
    let body = bytes.split_off(end);
    let head = String::from_utf8(bytes).unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head, body)
}

fn text(port: u16, path: &str) -> (u16, String) {
    let (status, _, body) = get(port, path);
    (status, String::from_utf8(body).unwrap())
}

/// Runs `ask` while a thread works in a span.
fn while_busy<T>(ask: impl FnOnce() -> T) -> (T, String) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| {
            let _span = throughline::span!("request");
            while !done.load(Ordering::Relaxed) {
                price(Duration::from_millis(5));
            }
            throughline::current().unwrap().trace_id.to_string()
        });
        let got = ask();
        done.store(true, Ordering::Relaxed);
        (got, busy.join().unwrap())
    })
}

#[test]
fn a_page_takes_a_profile_of_the_next_seconds() {
    crate::support::in_own_process("pages::a_page_takes_a_profile_of_the_next_seconds", || {
        let port = free_address().port();
        let admin = AdminOptions::default().port(port);
        let config = Config::new("shop").without_otlp().terminal(false).admin(admin).profile_pages();
        let guard = init(&config).unwrap();
        let (page, _) = while_busy(|| get(port, "/debug/pprof/profile?seconds=1"));
        let (status, head, body) = page;
        assert_eq!((status, head.contains("filename=\"profile.pb.gz\"")), (200, true), "{head}");
        let folded = Report::read_pprof(&body).unwrap().folded();
        assert!(folded.lines().any(|line| line.contains("price")), "{folded}");

        // A trace that is not in the profile has no samples.
        let (page, _) = while_busy(|| {
            text(port, "/debug/pprof/profile?seconds=1&format=folded&trace=4bf92f3577b34da6a3ce929d0e0e4736")
        });
        assert_eq!(page, (200, String::new()));
        let (page, _) = while_busy(|| text(port, "/debug/pprof/profile?seconds=1&format=svg"));
        assert!(page.0 == 200 && page.1.starts_with("<?xml") || page.1.contains("<svg"), "{}", page.1);

        for (path, status, said) in [
            ("/debug/pprof/", 200, "/debug/pprof/heap"),
            ("/debug/pprof/profile?seconds=0", 400, "from 1 to 300"),
            ("/debug/pprof/profile?seconds=x", 400, "from 1 to 300"),
            ("/debug/pprof/profile?seconds=1&format=exe", 400, "pprof, svg, folded or text"),
            ("/debug/pprof/profile?seconds=1&trace=7", 400, "32 hexadecimal digits"),
            ("/debug/pprof/heap", 503, "profiling.memory.enabled"),
        ] {
            let (got, body) = text(port, path);
            assert!(got == status && body.contains(said), "{path}: {got} {body}");
        }
        assert!(guard.shutdown(Duration::from_secs(60)).in_time);
    });
}

#[test]
fn a_session_that_samples_gives_the_page_its_last_window() {
    crate::support::in_own_process("pages::a_session_that_samples_gives_the_page_its_last_window", || {
        let port = free_address().port();
        let folder = Folder::new("pages");
        let options = ProfilingOptions::new(&folder.0)
            .cpu(CpuOptions::default().frequency(499))
            .memory(Default::default())
            .window(Duration::from_secs(1));
        let admin = AdminOptions::default().port(port);
        let config = Config::new("shop")
            .without_otlp()
            .terminal(false)
            .admin(admin)
            .profile_pages()
            .profiling(options);
        let guard = init(&config).unwrap();
        let (folded, trace) = while_busy(|| {
            // Until the first window has ended.
            loop {
                match text(port, "/debug/pprof/profile?seconds=1&format=folded") {
                    (503, why) => assert!(why.contains("ask again"), "{why}"),
                    (status, folded) => {
                        assert_eq!(status, 200);
                        break folded;
                    }
                }
            }
        });
        assert!(folded.lines().any(|line| line.contains("price")), "{folded}");
        let of_trace = format!("/debug/pprof/profile?format=folded&trace={trace}");
        let (status, folded) = text(port, &of_trace);
        assert!(status == 200 && folded.lines().any(|line| line.contains("price")), "{folded}");
        let (status, _, heap) = get(port, "/debug/pprof/heap");
        assert_eq!((status, Report::read_pprof(&heap).is_ok()), (200, true));
        assert!(guard.shutdown(Duration::from_secs(60)).in_time);
    });
}
