//! Memory that is left.

use super::judged;
use crate::health::{Check, Finding};
use std::fs::read_to_string;
use std::io;

impl Check {
    /// Whether at least this share (0 to 1) of the memory is free, of the container's if it has a limit (cgroup v2), and of the machine's
    /// otherwise; degraded below twice as much. On Linux.
    pub fn memory(name: impl Into<String>, least: f64) -> Check {
        Check::new(name, move || match left() {
            Ok((free, total)) => judged("the memory", free, total, least),
            Err(error) => Finding::degraded(format!("the memory cannot be read: {error}; is /proc there?")),
        })
    }
}

/// Free bytes and all bytes.
fn left() -> io::Result<(u64, u64)> {
    of_container().map_or_else(|| of_machine(&read_to_string("/proc/meminfo")?), Ok)
}

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

fn of_machine(text: &str) -> io::Result<(u64, u64)> {
    let kib = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.trim_end_matches("kB").trim().parse::<u64>().ok())
    };
    let both = kib("MemAvailable:").zip(kib("MemTotal:"));
    let missing = || io::Error::other("/proc/meminfo has no MemAvailable and MemTotal");
    both.map(|(free, total)| (free * 1024, total * 1024)).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_memory_is_read() {
        let text = "MemTotal:        8000 kB\nMemFree:  1 kB\nMemAvailable:    2000 kB\n";
        assert_eq!(of_machine(text).unwrap(), (2000 * 1024, 8000 * 1024));
        assert!(of_machine("").is_err());
        let (free, total) = left().unwrap();
        assert!(0 < free && free <= total);
    }
}
