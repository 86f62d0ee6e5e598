//! The memory of the process as the system sees it.

use std::io;

/// What the system counts of this process's memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessMemory {
    /// In physical memory now (`VmRSS`).
    pub resident: u64,
    /// The most that was in physical memory (`VmHWM`).
    pub peak_resident: u64,
    /// Addresses in use (`VmSize`), with or without memory behind them.
    pub virtual_size: u64,
    /// The most of these (`VmPeak`).
    pub peak_virtual_size: u64,
}

impl ProcessMemory {
    /// Reads `/proc/self/status`. Cost: some 20 µs.
    ///
    /// ```
    /// let memory = throughline_profile::ProcessMemory::read()?;
    /// assert!(memory.resident <= memory.peak_resident);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read, or has not these lines.
    pub fn read() -> io::Result<ProcessMemory> {
        ProcessMemory::parse(&std::fs::read_to_string("/proc/self/status")?)
    }

    fn parse(status: &str) -> io::Result<ProcessMemory> {
        let value = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
            let kibibytes = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok());
            kibibytes.map(|n| n * 1024).ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, format!("/proc/self/status has no `{key}: … kB`"))
            })
        };
        Ok(ProcessMemory {
            resident: value("VmRSS")?,
            peak_resident: value("VmHWM")?,
            virtual_size: value("VmSize")?,
            peak_virtual_size: value("VmPeak")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_other_names_and_units_are_not_taken() {
        let status = "Name:\tVmRSS: 7 kB\nVmPeak:\t  400 kB\nVmSize:\t 300 kB\nVmHWM:\t 200 kB\nVmRSS:\t 100 kB\nVmRSSX: 1 kB\n";
        let memory = ProcessMemory::parse(status).unwrap();
        let kibibytes =
            [memory.resident, memory.peak_resident, memory.virtual_size, memory.peak_virtual_size];
        assert_eq!(kibibytes.map(|n| n / 1024), [100, 200, 300, 400]);
        let error = ProcessMemory::parse(&status.replace("200 kB", "200 MB")).unwrap_err();
        assert_eq!(error.to_string(), "/proc/self/status has no `VmHWM: … kB`");
    }
}
