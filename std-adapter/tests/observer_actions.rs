//! Actions of observers that change what the process itself does: more traces of a route, and a profile.
#![cfg(feature = "observers")]

#[path = "support/servers.rs"]
mod servers;
mod support;

use servers::Folder;
use std::time::Duration;
use support::keep::Keep;
use support::{assert_balanced, in_own_process, ours, stderr_of, until};
use throughline::{Status, span};
use throughline_std::{Config, Guard};

const LONG: Duration = Duration::from_secs(30);

/// Begins with this file.
fn begin(folder: &Folder, file: &str, keep: &Keep) -> Guard {
    let path = folder.path().join("shop.toml");
    std::fs::write(&path, file).unwrap();
    let config = Config::load(&path).unwrap().without_otlp().terminal(false).exporter("keep", keep.clone());
    throughline_std::init(&config).unwrap()
}

fn request(route: &str, n: u64, is_error: bool) {
    let mut span = span!(root: true, "request", http.route = route, n);
    if is_error {
        span.set_status(Status::Error);
    }
}

/// Of a process that keeps no traces but those with errors, an error makes it keep those of the same route for a time.
#[test]
fn an_error_raises_the_share_of_its_route() {
    in_own_process("an_error_raises_the_share_of_its_route", || {
        let file = "\
            tracing.sampling.probability = 0.0\n\
            tracing.sampling.always_sample_errors = true\n\
            [[observers]]\n\
            name = \"failed\"\n\
            when = \"status == 'error'\"\n\
            cooldown = \"1h\"\n\
            actions = [\"sample\"]\n\
            sample.duration = \"1h\"\n";
        let (folder, keep) = (Folder::new("observer-sample"), Keep::default());
        let guard = begin(&folder, file, &keep);
        let kept = || {
            assert!(guard.flush(LONG));
            let mut numbers: Vec<String> =
                keep.take().spans.iter().map(|span| span.field("n").to_owned()).collect();
            numbers.sort();
            numbers
        };
        for n in 0..5 {
            request("/cart", n, false);
        }
        assert_eq!(kept(), [""; 0]);
        request("/cart", 5, true);
        assert_eq!(kept(), ["5"]);
        until("the action is done", || guard.ledger().exporter("observers.failed").output == 1);
        request("/cart", 6, false);
        request("/stock", 7, false);
        request("/cart", 8, false);
        assert_eq!(kept(), ["6", "8"]);
        assert_balanced(&guard.shutdown(LONG).ledger);
    });
}

/// Limits the sizes of files that this process writes.
fn limit_files(bytes: libc::rlim_t) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: a signal that is ignored calls nothing.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    // SAFETY: the limit is there during the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) }, 0);
}

/// Each action of an observer fails and works by itself, and a file that could not be written is removed.
#[test]
fn each_action_fails_and_works_by_itself() {
    let stderr = stderr_of("each_action_fails_and_works_by_itself", || {
        let (folder, keep) = (Folder::new("observer-failures"), Keep::default());
        let dumps = folder.path().join("dumps");
        let file = format!(
            "[[observers]]\n\
            name = \"slow\"\n\
            when = \"name == 'request'\"\n\
            actions = [\"dump\", \"log\", \"command\"]\n\
            dump.directory = {dumps:?}\n\
            command.run = [\"/bin/false\"]\n"
        );
        let guard = begin(&folder, &file, &keep);
        limit_files(0);
        for n in 0..3 {
            request("/cart", n, false);
            assert!(guard.flush(LONG));
        }
        let done = |hop: &throughline_std::Hop| hop.output == 3 && hop.dropped_total() == 6;
        until("all is done", || done(&guard.ledger().exporter("observers.slow")));
        limit_files(libc::RLIM_INFINITY);
        assert_eq!(std::fs::read_dir(&dumps).unwrap().count(), 0, "what was not written is removed");
        assert_balanced(&guard.shutdown(LONG).ledger);
    });
    let Some(stderr) = stderr else { return };
    let ours = ours(&stderr);
    let told = |part: &str| ours.iter().filter(|line| line.contains(part)).count();
    assert_eq!(told("observers.slow.dump: records cannot be written into "), 1, "{stderr}");
    assert_eq!(told("observers.slow.command: the command /bin/false failed"), 1, "{stderr}");
    assert_eq!(told("observers.slow.dump: still failing at the end, "), 1, "{stderr}");
    assert_eq!(told("works again"), 0, "{stderr}");
}

/// After its time, the share is that of the file again.
#[test]
fn a_raised_share_is_over_after_its_time() {
    in_own_process("a_raised_share_is_over_after_its_time", || {
        let file = "\
            tracing.sampling.probability = 0.0\n\
            tracing.sampling.always_sample_errors = true\n\
            [[observers]]\n\
            name = \"failed\"\n\
            when = \"status == 'error'\"\n\
            actions = [\"sample\"]\n\
            sample.pattern = \"{name}\"\n\
            sample.duration = \"10ms\"\n";
        let (folder, keep) = (Folder::new("observer-sample-over"), Keep::default());
        let guard = begin(&folder, file, &keep);
        request("/cart", 0, true);
        until("the action is done", || guard.ledger().exporter("observers.failed").output == 1);
        let mut n = 0;
        until("the share is that of the file again", || {
            keep.take();
            n += 1;
            request("/cart", n, false);
            assert!(guard.flush(LONG));
            keep.take().spans.is_empty()
        });
        assert_balanced(&guard.shutdown(LONG).ledger);
    });
}

#[cfg(profiled)]
mod profiles {
    use super::*;
    use std::path::PathBuf;

    /// Computes.
    #[inline(never)]
    fn price() -> u64 {
        (0..1_000_000_u64).fold(1, |x, n| std::hint::black_box(x.wrapping_mul(31) ^ n))
    }

    /// What the process does after it was slow is in a profile.
    #[test]
    fn a_slow_span_has_the_process_profiled() {
        in_own_process("profiles::a_slow_span_has_the_process_profiled", || {
            let (folder, keep) = (Folder::new("observer-profile"), Keep::default());
            let profiles = folder.path().join("profiles");
            let file = format!(
                "[profiling.exporter]\nfile_output_dir = {profiles:?}\n\
                [[observers]]\n\
                name = \"slow\"\n\
                when = \"name == 'checkout'\"\n\
                cooldown = \"1h\"\n\
                actions = [\"profile\"]\n\
                profile.duration = \"300ms\"\n"
            );
            let guard = begin(&folder, &file, &keep);
            let files = || -> Vec<PathBuf> {
                let entries = std::fs::read_dir(&profiles).into_iter().flatten();
                let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
                files.sort();
                files
            };
            drop(span!(root: true, "checkout"));
            assert!(files().is_empty());
            until("the profile is written", || {
                let _span = span!(root: true, "pricing");
                price();
                guard.ledger().exporter("observers.slow").output == 1
            });
            drop(span!(root: true, "checkout"));
            let report = guard.shutdown(LONG);
            assert_balanced(&report.ledger);
            assert_eq!(report.ledger.exporter("observers.slow").output, 1, "the cooldown allows one");
            let files = files();
            let [pprof, svg] = &files[..] else { panic!("not one profile and its picture: {files:?}") };
            assert!(pprof.display().to_string().ends_with(".pb.gz"), "{files:?}");
            assert!(std::fs::read_to_string(svg).unwrap().contains("price"));
        });
    }
}
