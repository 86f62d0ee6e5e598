//! The memory of the process as the system sees it.

use std::io;

/// What the system counts of this process's memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessMemory {
    /// In physical memory now. Linux: `VmRSS`; macOS: `resident_size`; Windows: the working set.
    pub resident: u64,
    /// The most that was in physical memory. Linux: `VmHWM`; macOS: `resident_size_max`; Windows: the peak working set.
    pub peak_resident: u64,
    /// Addresses in use, with or without memory behind them. Linux: `VmSize`; macOS: `virtual_size`; Windows, which
    /// counts no addresses: memory and page file that is promised to the process (`PagefileUsage`).
    pub virtual_size: u64,
    /// The most of these; `None` on macOS, which does not keep it.
    pub peak_virtual_size: Option<u64>,
    /// Memory that belongs to the process alone and that it may write. Linux: data, heap and private mappings (`VmData`);
    /// macOS: the blocks in use of all malloc zones; Windows: private bytes.
    pub heap: u64,
}

impl ProcessMemory {
    /// Asks the system. Cost: some 20 µs on Linux, where this reads `/proc/self/status`.
    ///
    /// ```
    /// let memory = throughline_profile::ProcessMemory::read()?;
    /// assert!(memory.resident <= memory.peak_resident);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the system does not answer, or is none of Linux, macOS and Windows.
    pub fn read() -> io::Result<ProcessMemory> {
        system::read()
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use super::ProcessMemory;
    use std::io;

    pub(super) fn read() -> io::Result<ProcessMemory> {
        parse(&std::fs::read_to_string("/proc/self/status")?)
    }

    pub(super) fn parse(status: &str) -> io::Result<ProcessMemory> {
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
            peak_virtual_size: Some(value("VmPeak")?),
            heap: value("VmData")?,
        })
    }
}

#[cfg(target_os = "macos")]
mod system {
    use super::ProcessMemory;
    use std::io;

    pub(super) fn read() -> io::Result<ProcessMemory> {
        // SAFETY: zeros are valid numbers.
        let mut info: libc::mach_task_basic_info = unsafe { std::mem::zeroed() };
        let mut words = libc::MACH_TASK_BASIC_INFO_COUNT;
        // SAFETY: asks for the number of the process's own port.
        #[allow(deprecated)]
        let task = unsafe { libc::mach_task_self() };
        let to = (&raw mut info).cast();
        // SAFETY: the kernel writes at most `words` words, which is the size of `info`.
        let error = unsafe { libc::task_info(task, libc::MACH_TASK_BASIC_INFO, to, &mut words) };
        if error != 0 {
            return Err(io::Error::other(format!("task_info(MACH_TASK_BASIC_INFO) failed with {error}")));
        }
        // SAFETY: zeros are valid numbers.
        let mut zones: libc::malloc_statistics_t = unsafe { std::mem::zeroed() };
        // SAFETY: null stands for all zones, and the pointer is valid.
        unsafe { libc::malloc_zone_statistics(std::ptr::null_mut(), &mut zones) };
        Ok(ProcessMemory {
            resident: info.resident_size,
            peak_resident: info.resident_size_max,
            virtual_size: info.virtual_size,
            peak_virtual_size: None,
            heap: zones.size_in_use as u64,
        })
    }
}

#[cfg(windows)]
mod system {
    use super::ProcessMemory;
    use std::io;
    use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS_EX};
    use windows_sys::Win32::System::Threading::GetCurrentProcess;

    pub(super) fn read() -> io::Result<ProcessMemory> {
        const SIZE: u32 = size_of::<PROCESS_MEMORY_COUNTERS_EX>() as u32;
        let mut counters = PROCESS_MEMORY_COUNTERS_EX { cb: SIZE, ..Default::default() };
        // SAFETY: this is a constant that stands for the running process.
        let process = unsafe { GetCurrentProcess() };
        // SAFETY: the system writes at most `SIZE` bytes. The longer form begins as the shorter one does.
        if unsafe { K32GetProcessMemoryInfo(process, (&raw mut counters).cast(), SIZE) } == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(ProcessMemory {
            resident: counters.WorkingSetSize as u64,
            peak_resident: counters.PeakWorkingSetSize as u64,
            virtual_size: counters.PagefileUsage as u64,
            peak_virtual_size: Some(counters.PeakPagefileUsage as u64),
            heap: counters.PrivateUsage as u64,
        })
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "macos", windows)))]
mod system {
    use super::ProcessMemory;
    use std::io;

    pub(super) fn read() -> io::Result<ProcessMemory> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "the memory of processes is not read on this system"))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::system::parse;

    #[test]
    fn lines_of_other_names_and_units_are_not_taken() {
        let status = "Name:\tVmRSS: 7 kB\nVmPeak:\t  400 kB\nVmSize:\t 300 kB\nVmHWM:\t 200 kB\nVmRSS:\t 100 kB\nVmRSSX: 1 kB\nVmData:\t50 kB\n";
        let memory = parse(status).unwrap();
        let bytes = [memory.heap, memory.resident, memory.peak_resident, memory.virtual_size];
        assert_eq!(bytes.map(|n| n / 1024), [50, 100, 200, 300]);
        assert_eq!(memory.peak_virtual_size, Some(400 * 1024));
        let error = parse(&status.replace("200 kB", "200 MB")).unwrap_err();
        assert_eq!(error.to_string(), "/proc/self/status has no `VmHWM: … kB`");
    }
}
