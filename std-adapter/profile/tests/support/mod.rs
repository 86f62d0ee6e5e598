//! What tests of profiles share: threads that record into rings of their own, work that takes a known CPU time, and one
//! test at a time, because a process has one profiler.
#![allow(dead_code)]

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;
use throughline::adapter::ring::{Mode, Slot};
use throughline::adapter::{metrics, recorder};
use throughline::{Clock, Recorder};

/// Waits until no other test of this binary profiles.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives each thread a recorder on its first record.
pub(crate) fn record() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| recorder::set_thread_hook(hook));
}

fn hook() -> Option<&'static Recorder> {
    recorder::acquire_thread(|| {
        let slots = Vec::leak((0..1 << 8).map(|_| Slot::new()).collect());
        let cells = Vec::leak((0..64).map(|_| metrics::Cell::new(0)).collect());
        Some(Box::leak(Box::new(Recorder::for_thread(slots, Mode::LocalNewest, Clock::mock(), cells))))
    })
}

/// The CPU time that the running thread has used.
pub(crate) fn thread_cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is valid.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) }, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Computes until the thread has used this much CPU time; returns what it has used.
#[inline(always)]
pub(crate) fn use_cpu(time: Duration) -> Duration {
    let start = thread_cpu();
    loop {
        let mut x = 1_u64;
        for i in 0..20_000_u64 {
            x = std::hint::black_box(x.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ i);
        }
        let used = thread_cpu() - start;
        if used >= time {
            return used;
        }
    }
}

/// A small generator of random numbers (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ x >> 31
    }
}

/// Asserts that a share that was found by sampling is the true one, within four standard deviations of as many
/// independent samples, which one run in 16,000 leaves by chance.
#[track_caller]
pub(crate) fn assert_share(what: &str, found: f64, truth: f64, samples: u64) {
    let deviation = (truth * (1.0 - truth) / samples as f64).sqrt();
    assert!(
        (found - truth).abs() <= 4.0 * deviation,
        "{what}: found {found:.4}, true {truth:.4}, standard deviation {deviation:.4} of {samples} samples"
    );
}

const LIBRARY: &str = "
static volatile unsigned long sink;
__attribute__((noinline)) unsigned long work_in_a_library(unsigned long n) {
    for (unsigned long i = 0; i < n; i++) sink = sink * 31 + i;
    return sink;
}
unsigned long enter_library(unsigned long n) { return work_in_a_library(n) + 1; }
";

/// A library in a folder of its own, built by the C compiler.
pub(crate) struct Library {
    folder: PathBuf,
}

impl Library {
    pub(crate) fn build() -> Library {
        let folder = std::env::temp_dir().join(format!("throughline-profile-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let source = folder.join("work.c");
        std::fs::write(&source, LIBRARY).unwrap();
        let mut cc = std::process::Command::new("cc");
        cc.args(["-O1", "-g", "-fomit-frame-pointer", "-shared", "-fPIC", "-o"])
            .arg(folder.join("libwork.so"));
        assert!(cc.arg(&source).status().expect("the C compiler `cc` runs").success());
        Library { folder }
    }

    pub(crate) fn load(&self) -> Loaded {
        let path = std::ffi::CString::new(self.folder.join("libwork.so").to_str().unwrap()).unwrap();
        // SAFETY: the library does nothing when it is loaded.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
        assert!(!handle.is_null());
        // SAFETY: the handle is valid.
        let function = unsafe { libc::dlsym(handle, c"enter_library".as_ptr()) };
        assert!(!function.is_null());
        // SAFETY: the function has this form.
        let work = unsafe { std::mem::transmute::<*mut libc::c_void, extern "C" fn(u64) -> u64>(function) };
        Loaded { handle, work }
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The library in memory, until this is dropped.
pub(crate) struct Loaded {
    handle: *mut libc::c_void,
    work: extern "C" fn(u64) -> u64,
}

impl Loaded {
    pub(crate) fn work(&self, rounds: u64) -> u64 {
        (self.work)(rounds)
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        // SAFETY: nothing of the library is used any more.
        assert_eq!(unsafe { libc::dlclose(self.handle) }, 0);
    }
}
