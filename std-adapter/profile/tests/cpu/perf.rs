//! What the kernel's own profiler says of the same run.

use super::{MS, Split, split, with};
use crate::support::{alone, record, thread_cpu};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use throughline_profile::{CpuOptions, CpuProfiler};

/// With this variable set, a system that does not permit `perf` fails the test.
const REQUIRED: &str = "THROUGHLINE_PERF_REQUIRED";

/// Why `perf` may not look at the processes of this user; `None` if it may.
fn refusal() -> Option<String> {
    let probe = Command::new("perf").args(["stat", "-e", "cpu-clock:u", "true"]).output();
    let probe = probe.expect("`perf` runs: install what Debian calls linux-perf");
    let paranoid = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap_or_default();
    let errors = String::from_utf8_lossy(&probe.stderr).into_owned();
    (!probe.status.success()).then(|| {
        format!(
            "perf_event_paranoid is {}, and 2 or less is needed, or the sandbox forbids it: {errors}",
            paranoid.trim()
        )
    })
}

/// `perf record` of one thread, which begins and ends when it is told.
struct Perf {
    child: Child,
    folder: PathBuf,
    control: File,
    answers: File,
}

impl Perf {
    fn attach(thread: libc::pid_t) -> Perf {
        let folder = std::env::temp_dir().join(format!("throughline-perf-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let [control, answers] = ["control", "answers"].map(|name| {
            let path = folder.join(name);
            let text = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
            // SAFETY: the path is valid.
            assert_eq!(unsafe { libc::mkfifo(text.as_ptr(), 0o600) }, 0);
            path
        });
        let mut command = Command::new("perf");
        command.args([
            "record",
            "-q",
            "-e",
            "cpu-clock:u",
            "-F",
            "499",
            "--call-graph",
            "dwarf,4096",
            "-D",
            "-1",
        ]);
        command.arg(format!("--control=fifo:{},{}", control.display(), answers.display()));
        command.args(["-t", &thread.to_string(), "-o"]).arg(folder.join("data"));
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        // Opened for both directions, so that neither side waits for the other to open it.
        let open = |path: &Path| OpenOptions::new().read(true).write(true).open(path).unwrap();
        let (control, answers) = (open(&control), open(&answers));
        // SAFETY: the file is open.
        assert_eq!(unsafe { libc::fcntl(answers.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) }, 0);
        Perf { child, folder, control, answers }
    }

    fn tell(&mut self, command: &str) {
        writeln!(self.control, "{command}").unwrap();
        let mut answer = Vec::new();
        while !answer.windows(4).any(|it| it == b"ack\n") {
            let mut more = [0; 16];
            // Asked before the answer is read, because it answers `stop` and ends.
            let has_ended = self.child.try_wait().unwrap().is_some();
            match self.answers.read(&mut more) {
                Ok(read) => answer.extend_from_slice(&more[..read]),
                Err(error) => {
                    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                    assert!(!has_ended, "perf record has ended");
                    std::thread::sleep(MS);
                }
            }
        }
    }

    /// The stacks of all samples, as `perf script` writes them.
    fn stacks(mut self) -> Vec<String> {
        self.tell("stop");
        assert!(self.child.wait().unwrap().success(), "perf record failed");
        let mut script = Command::new("perf");
        script.args(["script", "--no-inline", "-F", "ip,sym", "-i"]).arg(self.folder.join("data"));
        let output = script.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout);
        text.split("\n\n").map(str::to_owned).filter(|stack| !stack.trim().is_empty()).collect()
    }
}

impl Drop for Perf {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Both sample the same run, each with an error of its own.
#[track_caller]
fn assert_agree(what: &str, [ours, theirs]: [f64; 2], [our_samples, their_samples]: [u64; 2]) {
    let share = (ours + theirs) / 2.0;
    let deviation = (share * (1.0 - share) * (1.0 / our_samples as f64 + 1.0 / their_samples as f64)).sqrt();
    println!(
        "{what}: ours {ours:.4} of {our_samples}, perf {theirs:.4} of {their_samples}, deviation {deviation:.4}"
    );
    assert!(
        (ours - theirs).abs() <= 4.0 * deviation,
        "{what}: ours {ours}, perf {theirs}, deviation {deviation}"
    );
}

/// Run by `cargo xtask test --only perf`, which sees to it that there is `perf`.
#[test]
#[ignore = "needs perf: run `cargo xtask test --only perf`"]
fn perf_record_finds_the_same_shares_in_the_same_run() {
    if let Some(refusal) = refusal() {
        assert!(std::env::var_os(REQUIRED).is_none(), "{refusal}");
        return println!("skipped: {refusal}");
    }
    let _alone = alone();
    record();
    let (sender, thread) = mpsc::channel();
    let (go, wait) = mpsc::channel();
    let (told, done) = mpsc::channel();
    let work = std::thread::Builder::new().name("split".into()).spawn(move || {
        // SAFETY: asks the system for a number.
        sender.send(unsafe { libc::gettid() }).unwrap();
        wait.recv().unwrap();
        throughline_profile::adapter::begin_thread();
        told.send(split(4000 * MS, thread_cpu)).unwrap();
        // perf ends with the thread, and could not be asked any more.
        wait.recv().unwrap();
    });
    let mut perf = Perf::attach(thread.recv().unwrap());
    perf.tell("enable");
    let profiler = CpuProfiler::start(CpuOptions::default().frequency(499)).unwrap();
    go.send(()).unwrap();
    let Split { used, .. } = done.recv().unwrap();
    let profile = profiler.stop().of_thread("split");
    let stacks = perf.stacks();
    go.send(()).unwrap();
    work.unwrap().join().unwrap();

    let samples = profile.samples();
    let report = profile.symbolize();
    let names = ["seven_tenths", "two_tenths", "one_tenth"];
    let found = names.map(|name| stacks.iter().filter(|stack| stack.contains(name)).count() as u64);
    let their_samples: u64 = found.iter().sum();
    assert!(
        their_samples * 100 >= stacks.len() as u64 * 95,
        "{their_samples} of {}: {:?}",
        stacks.len(),
        stacks.first()
    );
    let ours: u64 = names.iter().map(|name| with(&report, name)).sum();
    let total: Duration = used.iter().sum();
    for ((name, found), used) in names.into_iter().zip(found).zip(used) {
        let shares = [with(&report, name) as f64 / ours as f64, found as f64 / their_samples as f64];
        assert_agree(name, shares, [samples, their_samples]);
        println!("  true {:.4}", used.as_secs_f64() / total.as_secs_f64());
    }
}
