//! Metrics of the process itself, under the names that Prometheus's client libraries use. [`Process`] says which of them a system has.
//!
//! Source: Prometheus, *Writing client libraries*, "Process metrics".

use super::name::Kind;
use super::page;
pub(super) use crate::Process;

/// A metric of the process, with the help text of Prometheus's client libraries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) unit: &'static str,
    pub(super) help: &'static str,
    pub(super) value: Value,
}

/// The value of such a metric, if it can be read.
pub(super) type Value = fn(&Process) -> Option<page::Value<'static>>;

const METRICS: [Metric; 7] = {
    const fn of(
        name: &'static str,
        kind: Kind,
        unit: &'static str,
        help: &'static str,
        value: Value,
    ) -> Metric {
        Metric { name, kind, unit, help, value }
    }
    [
        of(
            "process_cpu_seconds",
            Kind::Counter,
            "seconds",
            "Total user and system CPU time spent in seconds.",
            |process| process.cpu_seconds.map(page::Value::Float),
        ),
        of("process_max_fds", Kind::Gauge, "", "Maximum number of open file descriptors.", |process| {
            process.max_fds.map(page::Value::Unsigned)
        }),
        of("process_open_fds", Kind::Gauge, "", "Number of open file descriptors.", |process| {
            process.open_fds.map(page::Value::Unsigned)
        }),
        of(
            "process_resident_memory_bytes",
            Kind::Gauge,
            "bytes",
            "Resident memory size in bytes.",
            |process| process.resident_bytes.map(page::Value::Unsigned),
        ),
        of(
            "process_start_time_seconds",
            Kind::Gauge,
            "seconds",
            "Start time of the process since unix epoch in seconds.",
            |process| process.start_unix_seconds.map(page::Value::Float),
        ),
        of("process_threads", Kind::Gauge, "", "Number of OS threads in the process.", |process| {
            process.threads.map(page::Value::Unsigned)
        }),
        of(
            "process_virtual_memory_bytes",
            Kind::Gauge,
            "bytes",
            "Virtual memory size in bytes.",
            |process| process.virtual_bytes.map(page::Value::Unsigned),
        ),
    ]
};

impl Process {
    /// The metrics that can be read of this process.
    pub(super) fn metrics(&self) -> impl Iterator<Item = Metric> {
        METRICS.into_iter().filter(|metric| (metric.value)(self).is_some())
    }
}
