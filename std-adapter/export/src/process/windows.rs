//! Windows: `GetProcessMemoryInfo` and `GetProcessTimes`. Source: Microsoft's documentation of the Windows API.

use super::Process;
use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetProcessTimes};

/// From 1601, from which Windows counts, to 1970.
const SECONDS_TO_1970: f64 = 11_644_473_600.0;

pub(super) fn read() -> Process {
    // SAFETY: this is a constant that stands for the running process.
    let process = unsafe { GetCurrentProcess() };
    let [mut begun, mut ended, mut kernel, mut user] = [FILETIME::default(); 4];
    // SAFETY: the pointers are valid.
    let has_times = unsafe { GetProcessTimes(process, &mut begun, &mut ended, &mut kernel, &mut user) } != 0;
    const SIZE: u32 = size_of::<PROCESS_MEMORY_COUNTERS>() as u32;
    let mut memory = PROCESS_MEMORY_COUNTERS { cb: SIZE, ..Default::default() };
    // SAFETY: the system writes at most `SIZE` bytes.
    let has_memory = unsafe { K32GetProcessMemoryInfo(process, &mut memory, SIZE) } != 0;
    Process {
        cpu_seconds: has_times.then(|| seconds(kernel) + seconds(user)),
        start_unix_seconds: has_times.then(|| seconds(begun) - SECONDS_TO_1970),
        virtual_bytes: has_memory.then_some(memory.PagefileUsage as u64),
        resident_bytes: has_memory.then_some(memory.WorkingSetSize as u64),
        ..Process::default()
    }
}

/// A time in units of 100 ns.
fn seconds(FILETIME { dwHighDateTime, dwLowDateTime }: FILETIME) -> f64 {
    (u64::from(dwHighDateTime) << 32 | u64::from(dwLowDateTime)) as f64 / 1e7
}
