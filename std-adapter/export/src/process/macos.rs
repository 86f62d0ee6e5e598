//! macOS: `proc_pidinfo`, `getrusage` and `getrlimit`. Sources: `sys/proc_info.h` and the manual pages of these calls.

use super::Process;
use libc::{c_int, proc_taskallinfo};
use std::mem::MaybeUninit;

pub(super) fn read() -> Process {
    let files = std::fs::read_dir("/dev/fd").ok();
    let process = Process {
        cpu_seconds: cpu_seconds(),
        // Subtract the descriptor of the directory that is being read.
        open_fds: files.map(|files| (files.count() as u64).saturating_sub(1)),
        max_fds: max_fds(),
        ..Process::default()
    };
    let Some(proc_taskallinfo { pbsd, ptinfo }) = all() else { return process };
    Process {
        start_unix_seconds: Some(pbsd.pbi_start_tvsec as f64 + pbsd.pbi_start_tvusec as f64 / 1e6),
        threads: u64::try_from(ptinfo.pti_threadnum).ok(),
        virtual_bytes: Some(ptinfo.pti_virtual_size),
        resident_bytes: Some(ptinfo.pti_resident_size),
        ..process
    }
}

fn all() -> Option<proc_taskallinfo> {
    const SIZE: c_int = size_of::<proc_taskallinfo>() as c_int;
    let mut info = MaybeUninit::<proc_taskallinfo>::zeroed();
    // SAFETY: the kernel writes at most `SIZE` bytes.
    let written = unsafe {
        libc::proc_pidinfo(
            std::process::id() as c_int,
            libc::PROC_PIDTASKALLINFO,
            0,
            info.as_mut_ptr().cast(),
            SIZE,
        )
    };
    // SAFETY: all of it was written, and any numbers are valid.
    (written == SIZE).then(|| unsafe { info.assume_init() })
}

fn cpu_seconds() -> Option<f64> {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a place of this type.
    let failed = unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
    // SAFETY: zeros are valid numbers.
    let usage = unsafe { usage.assume_init() };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + f64::from(time.tv_usec) / 1e6;
    (failed == 0).then(|| seconds(usage.ru_utime) + seconds(usage.ru_stime))
}

/// The soft limit; `None` if there is no limit.
fn max_fds() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is valid.
    let failed = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    (failed == 0 && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}
