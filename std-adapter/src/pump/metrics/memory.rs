//! The metrics of the process's memory: `memory.…`.

use super::{Data, Point, own_point};
use crate::profiling::memory::{Found, Labels, MemoryNow, memory_now};
use crate::profiling::{LeakSeverity, SizeCategory};
use crate::pump::distribution::Histogram;
use std::borrow::Cow;

const SEVERITIES: [LeakSeverity; 4] =
    [LeakSeverity::Low, LeakSeverity::Medium, LeakSeverity::High, LeakSeverity::Critical];

/// The thirteen metrics of memory, if they are wanted.
pub(in crate::pump) fn of_memory() -> Vec<Point> {
    memory_now().map_or(Vec::new(), |now| points(&now))
}

fn gauge(n: u64) -> Data {
    Data::GaugeInt(i64::try_from(n).unwrap_or(i64::MAX))
}

fn points(now: &MemoryNow) -> Vec<Point> {
    let mut points = Points { labels: now.labels, points: Vec::new() };
    points.of_system(now);
    points.of_leaks(now);
    points.of_allocations(now);
    points.points
}

struct Points {
    labels: &'static Labels,
    points: Vec<Point>,
}

impl Points {
    fn add(
        &mut self,
        (name, unit, description): (&'static str, &'static str, &'static str),
        label: Option<(&'static str, &'static str)>,
        data: Data,
    ) {
        let Labels { component, session_id } = self.labels;
        let mut labels = vec![
            ("component", Cow::Borrowed(component.as_str())),
            ("session_id", Cow::Borrowed(session_id.as_str())),
        ];
        labels.extend(label.map(|(key, value)| (key, Cow::Borrowed(value))));
        self.points.push(own_point(name, unit, description, labels, data));
    }

    fn of_system(&mut self, now: &MemoryNow) {
        if let Some(process) = now.process {
            let heap = match now.counts.allocations {
                0 => process.heap,
                _ => now.counts.bytes_in_use(),
            };
            let total = now.allocator.map_or(process.heap, |allocator| allocator.total);
            self.add(
                ("memory.rss_bytes", "By", "Memory of the process in physical memory"),
                None,
                gauge(process.resident),
            );
            self.add(("memory.heap_bytes", "By", "Bytes of blocks in use"), None, gauge(heap));
            self.add(
                ("memory.virtual_bytes", "By", "Addresses of the process in use"),
                None,
                gauge(process.virtual_size),
            );
            self.add(
                ("memory.allocator.total_bytes", "By", "What the allocator has taken from the system"),
                None,
                gauge(total),
            );
        }
    }

    fn of_leaks(&mut self, now: &MemoryNow) {
        for severity in SEVERITIES {
            let leaks: Vec<&Found> =
                now.leaks.found.values().filter(|leak| leak.severity == severity).collect();
            let label = Some(("severity", severity.as_str()));
            let blocks = leaks.iter().map(|leak| leak.blocks).sum();
            // The sum of no floats is -0.
            let rate = leaks.iter().fold(0.0, |sum, leak| sum + leak.mb_per_hour);
            self.add(
                ("memory.leak.count", "{leak}", "Leaks that were found, by severity"),
                label,
                Data::Counter(leaks.len() as u64),
            );
            self.add(
                (
                    "memory.leak.allocation_count",
                    "{block}",
                    "The most blocks of these leaks that were in use",
                ),
                label,
                Data::Counter(blocks),
            );
            self.add(
                ("memory.leak.growth_rate_mb_h", "MB/h", "How fast these leaks grow together"),
                label,
                Data::GaugeFloat(rate),
            );
            if !leaks.is_empty() {
                let sizes = Histogram::of_whole(leaks.iter().map(|leak| (leak.size, 1)));
                self.add(
                    ("memory.leak.size_bytes", "By", "By how much a leak had grown when it was found"),
                    label,
                    Data::Histogram(sizes),
                );
            }
        }
        // Series of one metric must be together.
        self.points.sort_by(|a, b| a.name.cmp(&b.name));
    }

    fn of_allocations(&mut self, now: &MemoryNow) {
        let counts = now.counts;
        let operations = [
            ("allocate", counts.allocations, counts.allocated_bytes),
            ("free", counts.frees, counts.freed_bytes),
        ];
        for (operation, blocks, _) in operations {
            let label = Some(("operation", operation));
            self.add(
                ("memory.allocation.count", "{block}", "Blocks that were allocated and freed"),
                label,
                Data::Counter(blocks),
            );
        }
        for (operation, _, bytes) in operations {
            let label = Some(("operation", operation));
            self.add(
                ("memory.allocation.total_bytes", "By", "Bytes that were allocated and freed"),
                label,
                Data::Counter(bytes),
            );
        }
        for category in SizeCategory::ALL {
            let label = Some(("size_category", category.as_str()));
            let blocks = Data::Counter(now.sizes.blocks(category));
            self.add(
                (
                    "memory.allocation.distribution",
                    "{block}",
                    "Blocks that were allocated, by size, as samples tell",
                ),
                label,
                blocks,
            );
        }
        let Some(efficiency) = now.sizes.efficiency() else { return };
        self.add(
            ("memory.allocation.efficiency_score", "1", "How well the sizes of blocks suit an allocator"),
            None,
            Data::GaugeFloat(efficiency),
        );
        // The greatest size of each range.
        let powers = now.sizes.blocks_by_power().iter().enumerate();
        let sizes = powers.map(|(n, blocks)| (if n == 0 { 0 } else { 1 << (n - 1) }, *blocks));
        self.add(
            (
                "memory.allocation.size_bytes",
                "By",
                "Sizes of blocks, as samples tell; in the sum, each size is rounded up to a power of two",
            ),
            None,
            Data::Histogram(Histogram::of_whole(sizes)),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profiling::adapter::all_sizes;
    use crate::profiling::{AllocatorFigures, ProcessMemory, allocation_counts};

    #[test]
    fn leaks_and_what_the_system_tells_have_their_names_kinds_and_labels() {
        let labels = Labels { component: "shop".into(), session_id: "7-1".into() };
        let mut now = MemoryNow {
            labels: Box::leak(Box::new(labels)),
            process: Some(ProcessMemory::read().unwrap()),
            allocator: Some(AllocatorFigures { allocated: 1, total: 12_345 }),
            counts: allocation_counts(),
            sizes: all_sizes(),
            leaks: Default::default(),
        };
        let found = Found { severity: LeakSeverity::High, size: 60_000_000, blocks: 600, mb_per_hour: 30.0 };
        now.leaks.found.insert(1, found);
        now.leaks.found.insert(2, Found { size: 70_000_000, mb_per_hour: 0.0, ..found });
        let points = points(&now);
        let find = |name: &str, label: Option<(&'static str, &str)>| {
            let has = |point: &&Point| {
                label.is_none_or(|(key, value)| point.labels[2..] == [(key, Cow::Borrowed(value))])
            };
            let point = points.iter().filter(|point| point.name == name).find(has).expect(name);
            assert_eq!(point.labels[0].1, "shop");
            assert_eq!(point.labels[1], ("session_id", Cow::Borrowed("7-1")));
            point.data.clone()
        };
        let high = Some(("severity", "high"));
        assert_eq!(find("memory.leak.count", high), Data::Counter(2));
        assert_eq!(find("memory.leak.count", Some(("severity", "low"))), Data::Counter(0));
        assert_eq!(find("memory.leak.allocation_count", high), Data::Counter(1200));
        assert_eq!(find("memory.leak.growth_rate_mb_h", high), Data::GaugeFloat(30.0));
        assert_eq!(find("memory.allocator.total_bytes", None), Data::GaugeInt(12_345));
        assert!(matches!(find("memory.rss_bytes", None), Data::GaugeInt(1..)));
        let Data::Histogram(sizes) = find("memory.leak.size_bytes", high) else { panic!() };
        let view = sizes.view();
        // Both are of more than 2^25 and at most 2^27 bytes.
        assert_eq!((view.count(), view.sum), (2, 130_000_000.0));
        let names: Vec<_> = points.iter().map(|point| &*point.name).collect();
        let runs = names.chunk_by(|a, b| a == b).count();
        let different: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(runs, different.len(), "the series of a metric are together: {names:?}");
    }
}
