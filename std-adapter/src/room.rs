//! Room that is left: of memory, and on disks.

#[cfg(target_os = "linux")]
use std::fs::read_to_string;
#[cfg(unix)]
use std::io;
#[cfg(unix)]
use std::path::Path;

/// Free bytes and all bytes of memory: of the container if it has a limit (cgroup v2), and of the machine otherwise.
#[cfg(target_os = "linux")]
pub(crate) fn memory() -> io::Result<(u64, u64)> {
    of_container().map_or_else(|| of_machine(&read_to_string("/proc/meminfo")?), Ok)
}

#[cfg(target_os = "linux")]
fn of_container() -> Option<(u64, u64)> {
    let own = read_to_string("/proc/self/cgroup").ok()?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let number = |file: &str| -> Option<u64> {
        // In a container, its own group is the root.
        ["/sys/fs/cgroup".to_owned() + own.trim_end_matches('/'), "/sys/fs/cgroup".into()]
            .iter()
            .find_map(|folder| read_to_string(format!("{folder}/{file}")).ok()?.trim().parse().ok())
    };
    let (most, used) = (number("memory.max")?, number("memory.current")?);
    Some((most.saturating_sub(used), most))
}

#[cfg(target_os = "linux")]
fn of_machine(text: &str) -> io::Result<(u64, u64)> {
    let kib = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.trim_end_matches("kB").trim().parse::<u64>().ok())
    };
    let both = kib("MemAvailable:").zip(kib("MemTotal:"));
    let missing = || io::Error::other("/proc/meminfo has no MemAvailable and MemTotal");
    both.map(|(free, total)| (free * 1024, total * 1024)).ok_or_else(missing)
}

/// Free bytes and all bytes of the file system that has the path.
#[cfg(unix)]
pub(crate) fn disk(path: &Path) -> io::Result<(u64, u64)> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    let mut found = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path ends with a zero byte, and `found` has room for the answer.
    if unsafe { libc::statvfs(path.as_ptr(), found.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call was successful, so it has filled the structure.
    let found = unsafe { found.assume_init() };
    // Some systems have 32-bit fields.
    #[allow(clippy::unnecessary_cast, reason = "as the comment says")]
    let (free, total, unit) = (found.f_bavail as u64, found.f_blocks as u64, found.f_frsize as u64);
    Ok((free.saturating_mul(unit), total.saturating_mul(unit)))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_machines_memory_is_read() {
        let text = "MemTotal:        8000 kB\nMemFree:  1 kB\nMemAvailable:    2000 kB\n";
        assert_eq!(of_machine(text).unwrap(), (2000 * 1024, 8000 * 1024));
        assert!(of_machine("").is_err());
        let (free, total) = memory().unwrap();
        assert!(0 < free && free <= total);
    }
}
