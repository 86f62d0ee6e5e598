//! What the system says about this process: Linux, macOS and Windows; on other systems nothing is known.

#[cfg(any(target_os = "linux", test))]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only its tests run here"))]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(target_os = "macos")]
use macos as system;
#[cfg(windows)]
use windows as system;

/// What the system says about this process. A value that cannot be read is `None`: on Windows the number of threads and what
/// concerns files, and everything on other systems than Linux, macOS and Windows.
///
/// ```
/// let process = throughline_export::Process::read();
/// println!("{:?} bytes, {:?} of {:?} files", process.resident_bytes, process.open_fds, process.max_fds);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Process {
    /// CPU time in user and kernel mode, in seconds.
    pub cpu_seconds: Option<f64>,
    /// When it began, in seconds since 1970.
    pub start_unix_seconds: Option<f64>,
    /// Threads that it has.
    pub threads: Option<u64>,
    /// Bytes of its address space; on Windows, memory and page file that is promised to it.
    pub virtual_bytes: Option<u64>,
    /// Bytes that are in physical memory; on Windows, the working set.
    pub resident_bytes: Option<u64>,
    /// Open file descriptors.
    pub open_fds: Option<u64>,
    /// How many there may be: the soft limit. `None` too if there is no limit.
    pub max_fds: Option<u64>,
}

impl Process {
    /// Reads the present values. Cost: on Linux it reads four files, and a directory with one entry for each open file.
    pub fn read() -> Process {
        #[cfg(any(target_os = "linux", target_os = "macos", windows))]
        return system::read();
        #[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
        Process::default()
    }
}

#[cfg(all(test, any(target_os = "linux", target_os = "macos", windows), not(miri)))]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_told_of() {
        let process = Process::read();
        assert!(process.resident_bytes.unwrap() > 100_000, "{process:?}");
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
        assert!((0.0..7200.0).contains(&(now - process.start_unix_seconds.unwrap())), "{process:?}");
        assert!(process.cpu_seconds.is_some(), "{process:?}");
        if cfg!(windows) {
            assert!(process.virtual_bytes.unwrap() > 100_000, "{process:?}");
        } else {
            assert!(process.virtual_bytes.unwrap() >= process.resident_bytes.unwrap(), "{process:?}");
            assert!(process.threads.unwrap() >= 1 && process.open_fds.unwrap() >= 3, "{process:?}");
            assert!(process.max_fds.unwrap() > 10, "{process:?}");
        }
    }

    #[test]
    fn memory_and_files_that_are_taken_are_seen() {
        const MEMORY: usize = 64 << 20;
        let before = Process::read();
        let _taken = std::hint::black_box(vec![1_u8; MEMORY]);
        let program = std::env::current_exe().unwrap();
        let files: Vec<_> = (0..50).map(|_| std::fs::File::open(&program).unwrap()).collect();
        let after = Process::read();
        let grown = |value: fn(&Process) -> Option<u64>| {
            value(&after).unwrap_or_default().saturating_sub(value(&before).unwrap_or_default())
        };
        // Other tests end meanwhile.
        assert!(grown(|it| it.resident_bytes) > MEMORY as u64 / 2, "{before:?} {after:?}");
        assert!(grown(|it| it.virtual_bytes) > MEMORY as u64 / 2, "{before:?} {after:?}");
        assert!(cfg!(windows) || grown(|it| it.open_fds) > files.len() as u64 / 2, "{before:?} {after:?}");
    }
}
