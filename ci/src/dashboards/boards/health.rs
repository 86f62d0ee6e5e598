//! The checks of health, and what a process uses.

use crate::dashboards::model::Unit::{Bytes, BytesPerSecond, Count, PerMinute, Seconds, Share};
use crate::dashboards::model::{Board, Row, graph, number, query};

pub(super) const BOARD: Board = Board {
    id: "throughline-health",
    title: "System health",
    about: "Which checks fail, and what processes use of processors, memory, connections and queues.",
    found_by: "process_start_time_seconds",
    rows: &[
        Row {
            title: "Health",
            panels: &[
                number(
                    "Health",
                    Share,
                    "Of each service: 1 is healthy, 0.5 degraded, 0 unhealthy.",
                    &[query("min by (job) (health_status{$s})", "{{job}}")],
                ),
                number(
                    "Running for",
                    Seconds,
                    "Time since the start of the process that was started last.",
                    &[query("min by (job) (time() - process_start_time_seconds{$s})", "{{job}}")],
                ),
                graph(
                    "Checks",
                    Share,
                    "The least of each check's values: 1 is healthy, 0.5 degraded, 0 unhealthy.",
                    &[query("min by (check) (health_check_status{$s})", "{{check}}")],
                ),
                graph(
                    "Checks by result",
                    PerMinute,
                    "Runs of checks, by their result.",
                    &[query(
                        "60 * sum by (check, status) (rate(health_check_runs_total{$s}[$r]))",
                        "{{check}} {{status}}",
                    )],
                ),
                graph(
                    "Time of checks",
                    Seconds,
                    "The time within which 95 % of the runs of a check were done. A check that comes near its timeout will fail soon.",
                    &[query(
                        "histogram_quantile(0.95, sum by (le, check) (rate(health_check_duration_microseconds_bucket{$s}[$r]))) / 1e6",
                        "{{check}}",
                    )],
                ),
                graph(
                    "Processes started",
                    Count,
                    "How often the process of an instance was started within an hour, beyond the first.",
                    &[query("sum by (job) (changes(process_start_time_seconds{$s}[1h]))", "{{job}}")],
                ),
            ],
        },
        Row {
            title: "Processes",
            panels: &[
                graph(
                    "Processors in use",
                    Count,
                    "CPU seconds in a second: 1 is one processor, fully used.",
                    &[query("rate(process_cpu_seconds_total{$s}[$r])", "{{instance}}")],
                ),
                graph(
                    "Memory",
                    Bytes,
                    "Memory of the process in physical memory.",
                    &[query("process_resident_memory_bytes{$s}", "{{instance}}")],
                ),
                graph(
                    "Memory forecast, in an hour",
                    Bytes,
                    "Where the memory in use will be in an hour, if it goes on as in the last 30 minutes.",
                    &[query("predict_linear(process_resident_memory_bytes{$s}[30m], 3600)", "{{instance}}")],
                ),
                graph(
                    "Threads",
                    Count,
                    "Threads of the process.",
                    &[query("process_threads{$s}", "{{instance}}")],
                ),
                graph(
                    "Files and connections",
                    Share,
                    "Open file descriptors by the most that the process may have. At 1 it can open no more.",
                    &[query("process_open_fds{$s} / process_max_fds{$s}", "{{instance}}")],
                ),
                graph(
                    "Steps of the clock",
                    Count,
                    "How often the wall clock was found set since the processes were started. Times of logs and spans jump then, but \
                        durations do not.",
                    &[query(
                        "sum by (job) (throughline_clock_steps_total{$s}) or 0 * count by (job) (process_start_time_seconds{$s})",
                        "{{job}}",
                    )],
                ),
            ],
        },
        Row {
            title: "Memory of the program: with the feature profile",
            panels: &[
                graph(
                    "Heap",
                    Bytes,
                    "Bytes of the blocks that are in use, and what the allocator holds for them. Much more held than used is fragmentation.",
                    &[
                        query("sum by (instance) (memory_heap_bytes{$s})", "{{instance}} in use"),
                        query("sum by (instance) (memory_allocator_total_bytes{$s})", "{{instance}} held"),
                    ],
                ),
                graph(
                    "Allocated",
                    BytesPerSecond,
                    "Bytes that were allocated in a second, freed ones included. It costs time, even when nothing grows.",
                    &[query(
                        "sum by (instance) (rate(memory_allocation_total_bytes_total{operation=\"allocate\", $s}[$r]))",
                        "{{instance}}",
                    )],
                ),
                graph(
                    "Leaks that grow",
                    Count,
                    "Megabytes an hour by which places in the code grow that never shrink, by severity. A profile of the heap says which places.",
                    &[query(
                        "sum by (severity) (memory_leak_growth_rate_mb_h_MB_per_hour{$s})",
                        "{{severity}}",
                    )],
                ),
            ],
        },
        Row {
            title: "Pools and queues",
            panels: &[
                graph(
                    "Connections of pools",
                    Count,
                    "Connections to databases, used and idle. While none is idle, queries wait.",
                    &[query(
                        "sum by (db_client_connection_pool_name, db_client_connection_state) (db_client_connection_count{$s})",
                        "{{db_client_connection_pool_name}} {{db_client_connection_state}}",
                    )],
                ),
                graph(
                    "Fullest ring",
                    Share,
                    "The share of the fullest ring that the pump found full. At 1 records are lost: make rings larger (recording.ring_slots).",
                    &[query("max by (job) (throughline_pump_ring_fill_ratio{$s})", "{{job}}")],
                ),
                graph(
                    "Records in queues",
                    Count,
                    "Records that wait for an exporter or are being delivered.",
                    &[query("sum by (exporter) (throughline_pump_queue_records{$s})", "{{exporter}}")],
                ),
                graph(
                    "Bytes in queues",
                    Bytes,
                    "Memory of the batches that wait for an exporter.",
                    &[query("sum by (exporter) (throughline_pump_queue_size_bytes{$s})", "{{exporter}}")],
                ),
                graph(
                    "Telemetry sent",
                    BytesPerSecond,
                    "Bytes of the batches that were delivered.",
                    &[query(
                        "sum by (exporter) (rate(throughline_pump_sent_bytes_total{$s}[$r]))",
                        "{{exporter}}",
                    )],
                ),
                graph(
                    "Records in spools",
                    Count,
                    "Records that wait on the disk until their collector is back.",
                    &[query("sum by (exporter) (throughline_pump_spool_records{$s})", "{{exporter}}")],
                ),
            ],
        },
    ],
};
