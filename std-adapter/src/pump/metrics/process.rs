//! The gauges of the whole process, by the names that agents have for them.

use super::{Data, Point, own_point};
use crate::profiling::process::process_now;

/// `memory.current.bytes`, `memory.peak.bytes` and `cpu.utilization.percent`, if they are wanted.
pub(in crate::pump) fn of_process() -> Vec<Point> {
    let Some(now) = process_now() else { return Vec::new() };
    let bytes = |n: u64| Data::GaugeInt(i64::try_from(n).unwrap_or(i64::MAX));
    let memory = now.memory.map(|memory| {
        [
            (
                "memory.current.bytes",
                "By",
                "Memory of the process in physical memory",
                bytes(memory.resident),
            ),
            (
                "memory.peak.bytes",
                "By",
                "The most that was in physical memory since the process began",
                bytes(memory.peak_resident),
            ),
        ]
    });
    let cpu = now.cpu_percent.map(|percent| {
        let description = "CPU time of the process since the last reading, of all CPUs that it may use";
        ("cpu.utilization.percent", "%", description, Data::GaugeFloat(percent))
    });
    let gauges = memory.into_iter().flatten().chain(cpu);
    gauges
        .map(|(name, unit, description, data)| own_point(name, unit, description, Vec::new(), data))
        .collect()
}
