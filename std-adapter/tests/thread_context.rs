//! Another process finds the current span of each thread, and what the process is, as profilers outside of the process do: by the
//! program's ELF file, the threads' registers and `/proc`.
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]

#[path = "thread_context/reader.rs"]
mod reader;

use reader::{Reader, own_record, shown};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use throughline::{TraceContext, attach, current, span};
use throughline_std::Config;

/// Set in the process that is observed.
const OBSERVED: &str = "THROUGHLINE_TEST_OBSERVED";
const REMOTE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The running thread and its place, as the process itself sees it.
fn told() -> String {
    // SAFETY: asks the system for a number.
    let thread = unsafe { libc::gettid() };
    format!("{thread}={}", place())
}

fn place() -> String {
    current().map_or("none".into(), |place| place.traceparent().to_string())
}

/// Tells the places of its threads, one line for each step, and goes on when it gets a line.
fn observed() {
    let config =
        Config::new("observed").attribute("service.namespace", "tests").without_otlp().terminal(false);
    let guard = throughline_std::init(&config).unwrap();
    let lines = std::io::stdin().lines();
    let (to_worker, steps) = mpsc::channel::<()>();
    let (to_main, places) = mpsc::channel();
    let worker = std::thread::spawn(move || {
        let tell = || to_main.send(told()).unwrap();
        {
            let _span = span!(root: true, "worker");
            tell();
            steps.recv().unwrap();
        }
        let _remote = attach(TraceContext::parse(REMOTE).unwrap());
        tell();
        steps.recv().unwrap();
        let _below = span!("below");
        tell();
        // Until the channel ends.
        let _ = steps.recv();
    });
    let say = |places: &mpsc::Receiver<String>| {
        let mut line = told();
        let _ = write!(line, " {}", places.recv().unwrap());
        println!("step {line}");
    };
    let mut lines = lines.map_while(Result::ok);
    let mut wait = || lines.next().expect("the observer goes on");
    {
        let _outer = span!("outer");
        say(&places);
        wait();
        to_worker.send(()).unwrap();
        {
            let _inner = span!("inner");
            say(&places);
            wait();
        }
        to_worker.send(()).unwrap();
        // Back in the outer one.
        say(&places);
        wait();
    }
    drop(to_worker);
    worker.join().unwrap();
    println!("step {}", told());
    wait();
    guard.shutdown(Duration::from_secs(10));
}

/// A process of the test of this name, which tells its places, and where it tells them.
struct Observed {
    child: Child,
    input: ChildStdin,
}

impl Observed {
    fn begin(test: &str) -> (Observed, BufReader<ChildStdout>) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", test, "--nocapture"]);
        command.env(OBSERVED, "1").env_remove("OTEL_RESOURCE_ATTRIBUTES").env_remove("OTEL_SERVICE_NAME");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        (Observed { child, input }, output)
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        // Both fail only if the process has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn another_process_reads_the_span_of_each_thread_and_the_resource() {
    if std::env::var_os(OBSERVED).is_some() {
        return observed();
    }
    let (mut observed, output) =
        Observed::begin("another_process_reads_the_span_of_each_thread_and_the_resource");
    let reader = Reader::of(observed.child.id());

    let mut steps = 0;
    // The test harness writes lines too, and begins one that a step ends.
    for line in output.lines().map(Result::unwrap) {
        let Some((_, places)) = line.split_once("step ") else { continue };
        let places: Vec<_> = places.split(' ').map(|it| it.split_once('=').unwrap()).collect();
        for (thread, expected) in &places {
            let found = shown(reader.record(thread.parse().unwrap()));
            assert_eq!(found, *expected, "step {steps}, thread {thread}");
        }
        steps += 1;
        match steps {
            1 => assert!(
                places.iter().all(|(_, place)| place.ends_with("-01")),
                "both are in spans: {places:?}"
            ),
            2 => assert_eq!(places[1].1, REMOTE),
            4 => assert_eq!(places.len(), 1, "the worker has ended"),
            _ => {}
        }
        if steps == 1 {
            let (resource, attributes) = reader.process_context();
            assert_eq!(resource["service.name"], "observed");
            assert_eq!(resource["service.namespace"], "tests");
            assert_eq!(attributes["threadlocal.schema_version"], "tlsdesc_v1_dev");
            assert_eq!(attributes["threadlocal.attribute_key_map"], "[]");
        }
        observed.input.write_all(b"go on\n").unwrap();
    }
    assert_eq!(steps, 4);
    assert!(observed.child.wait().unwrap().success());
}

/// Forks, and tells the places of the parent and of the child, which records for itself.
fn forking() {
    let config = || Config::new("forking").without_otlp().terminal(false);
    let guard = throughline_std::init(&config()).unwrap();
    let say = || {
        println!("step {} {}", std::process::id(), told());
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).unwrap();
    };
    {
        let _outer = span!("outer");
        say();
        // SAFETY: of the other threads, none holds a lock that the child takes: all wait.
        let child = unsafe { libc::fork() };
        if child == 0 {
            say();
            let guard = throughline_std::init(&config()).unwrap();
            let own = span!(root: true, "child");
            say();
            let inner = span!("inner");
            say();
            drop((inner, own));
            say();
            guard.shutdown(Duration::from_secs(10));
            // SAFETY: ends the child, which must not go on with the parent's tests.
            unsafe { libc::_exit(0) };
        }
        let mut status = 0;
        // SAFETY: the pointer is valid.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!(status, 0, "the child");
        say();
    }
    say();
    guard.shutdown(Duration::from_secs(10));
}

#[test]
fn a_forked_process_shows_its_own_spans() {
    if std::env::var_os(OBSERVED).is_some() {
        return forking();
    }
    let (mut observed, output) = Observed::begin("a_forked_process_shows_its_own_spans");
    let parent = observed.child.id();
    let mut steps = Vec::new();
    for line in output.lines().map(Result::unwrap) {
        let Some((_, step)) = line.split_once("step ") else { continue };
        let (process, place) = step.split_once(' ').unwrap();
        let (process, (thread, expected)) = (process.parse().unwrap(), place.split_once('=').unwrap());
        let found = shown(Reader::of(process).record(thread.parse().unwrap()));
        assert_eq!(found, expected, "step {}", steps.len());
        steps.push((process == parent, found));
        observed.input.write_all(b"go on\n").unwrap();
    }
    let trace = |n: usize| steps[n].1.get(3..35).unwrap_or("none");
    let of_parent: Vec<_> = steps.iter().map(|(is_parent, _)| *is_parent).collect();
    assert_eq!(of_parent, [true, false, false, false, false, true, true]);
    // Before it records, and after its spans, the child shows nothing.
    assert_eq!([1, 4, 6].map(trace), ["none"; 3]);
    assert!(trace(2) == trace(3) && trace(2) != trace(0), "{steps:?}");
    assert_ne!(steps[2].1, steps[3].1, "the inner span");
    assert_eq!(steps[5].1, steps[0].1, "the parent is where it was");
    assert!(observed.child.wait().unwrap().success());
}

/// Unlike the others, this needs no `ptrace` and no other process, so it runs in emulators too.
#[test]
fn a_thread_finds_its_own_record_by_the_programs_file() {
    assert_eq!(shown(own_record()), "none");
    let guard = throughline_std::init(&Config::new("own").without_otlp().terminal(false)).unwrap();
    let look = || {
        let _outer = span!(root: true, "outer");
        let outer = shown(own_record());
        assert_eq!(outer, place());
        {
            let _inner = span!("inner");
            assert_eq!(shown(own_record()), place());
            assert_ne!(place(), outer);
        }
        let _remote = attach(TraceContext::parse(REMOTE).unwrap());
        assert_eq!(shown(own_record()), REMOTE);
        outer
    };
    let here = look();
    assert_eq!(shown(own_record()), "none");
    assert_ne!(std::thread::spawn(look).join().unwrap(), here);
    guard.shutdown(Duration::from_secs(10));
}
