//! The rules: what is computed in advance, and what people are told of.

use super::rules::{Alert, Group, Rule};

/// All groups of rules.
pub const ALL: &[Group] = &[
    Group {
        name: "throughline-recorded",
        rules: &[
            Rule::Record {
                name: "job:http_server_requests:rate5m",
                expr: "sum by (job) (rate(http_server_request_duration_seconds_count[5m]))",
            },
            Rule::Record {
                name: "job:http_server_errors:ratio_rate5m",
                expr: "(sum by (job) (rate(http_server_request_duration_seconds_count{error_type!=\"\"}[5m])) or 0 * job:http_server_requests:rate5m)
                    / (job:http_server_requests:rate5m > 0)",
            },
            Rule::Record {
                name: "job:http_server_request_duration_seconds:p95_5m",
                expr: "histogram_quantile(0.95, sum by (le, job) (rate(http_server_request_duration_seconds_bucket[5m])))",
            },
            Rule::Record {
                name: "job_route:http_server_request_duration_seconds:p95_5m",
                expr: "histogram_quantile(0.95, sum by (le, job, http_route) (rate(http_server_request_duration_seconds_bucket[5m])))",
            },
            Rule::Record {
                name: "job:rpc_server_calls:rate5m",
                expr: "sum by (job) (rate(rpc_server_call_duration_seconds_count[5m]))",
            },
            Rule::Record {
                name: "job:rpc_server_errors:ratio_rate5m",
                expr: "(sum by (job) (rate(rpc_server_call_duration_seconds_count{error_type!=\"\"}[5m])) or 0 * job:rpc_server_calls:rate5m)
                    / (job:rpc_server_calls:rate5m > 0)",
            },
            Rule::Record {
                name: "job:throughline_records_lost:rate5m",
                expr: concat!("sum by (job) (rate(throughline_records_total{", lost!(), "}[5m]))"),
            },
        ],
    },
    Group {
        name: "throughline-services",
        rules: &[
            Rule::Alert(Alert {
                name: "ServiceDown",
                expr: "up == 0",
                lasts: "2m",
                severity: "critical",
                summary: "{{ $labels.job }} on {{ $labels.instance }} cannot be scraped",
                description: "The process is gone, or its page of metrics cannot be reached from Prometheus.",
                section: "a-service-is-not-there",
            }),
            Rule::Alert(Alert {
                name: "ServiceUnhealthy",
                expr: "min by (job, instance) (health_status) < 0.5",
                lasts: "2m",
                severity: "critical",
                summary: "{{ $labels.job }} on {{ $labels.instance }} is unhealthy",
                description: "A check that is not optional fails. The page /health of the service says which one and why.",
                section: "a-service-is-unhealthy",
            }),
            Rule::Alert(Alert {
                name: "HealthCheckFails",
                expr: "min by (job, instance, check) (health_check_status) < 1",
                lasts: "10m",
                severity: "warning",
                summary: "the check {{ $labels.check }} of {{ $labels.job }} is not healthy",
                description: "It is degraded or unhealthy for ten minutes. The page /health of the service says why.",
                section: "a-service-is-unhealthy",
            }),
            Rule::Alert(Alert {
                name: "ManyErrors",
                expr: "job:http_server_errors:ratio_rate5m > 0.05 and job:http_server_requests:rate5m > 0.1",
                lasts: "5m",
                severity: "critical",
                summary: "{{ $value | humanizePercentage }} of the requests to {{ $labels.job }} fail",
                description: "More than 5 % of the requests have failed on the server's side for five minutes.",
                section: "requests-fail",
            }),
            Rule::Alert(Alert {
                name: "ManyFailedCalls",
                expr: "job:rpc_server_errors:ratio_rate5m > 0.05 and job:rpc_server_calls:rate5m > 0.1",
                lasts: "5m",
                severity: "critical",
                summary: "{{ $value | humanizePercentage }} of the calls of gRPC to {{ $labels.job }} fail",
                description: "More than 5 % of the calls have failed on the server's side for five minutes.",
                section: "requests-fail",
            }),
            Rule::Alert(Alert {
                name: "SlowRequests",
                expr: "job:http_server_request_duration_seconds:p95_5m > 1 and on (job) job:http_server_requests:rate5m > 0.1",
                lasts: "10m",
                severity: "warning",
                summary: "5 % of the requests to {{ $labels.job }} take longer than {{ $value | humanizeDuration }}",
                description: "The 95 % latency has been above a second for ten minutes. Follow an exemplar of the graph Latency to a trace.",
                section: "requests-are-slow",
            }),
            Rule::Alert(Alert {
                name: "ServiceRestarts",
                expr: "changes(process_start_time_seconds[1h]) > 2",
                lasts: "0m",
                severity: "warning",
                summary: "{{ $labels.job }} on {{ $labels.instance }} was started {{ $value }} times within an hour",
                description: "It crashes, or its liveness check fails. The last records before a crash are in the logs and in the spool.",
                section: "a-service-restarts",
            }),
            Rule::Alert(Alert {
                name: "FewFileDescriptors",
                expr: "process_open_fds / process_max_fds > 0.9",
                lasts: "5m",
                severity: "warning",
                summary: "{{ $labels.job }} on {{ $labels.instance }} has {{ $value | humanizePercentage }} of its files open",
                description: "At 100 % it can open no file and no connection. Look for a leak, or raise the limit.",
                section: "memory-or-files-run-out",
            }),
        ],
    },
    Group {
        name: "throughline-telemetry",
        rules: &[
            Rule::Alert(Alert {
                name: "TelemetryLost",
                // A series begins when something is lost for the first time, and `increase` does not see that beginning.
                expr: concat!("sum by (job, hop, outcome) (increase(throughline_records_total{", lost!(), ", hop!~\"device|link|decoder|traces\"}[10m])) > 0
                    or sum by (job, hop, outcome) (throughline_records_total{", lost!(), ", hop!~\"device|link|decoder|traces\"}
                        unless throughline_records_total offset 10m) > 0"),
                lasts: "1m",
                severity: "warning",
                summary: "{{ $labels.job }} has lost {{ $value | humanize }} records within ten minutes at {{ $labels.hop }}: {{ $labels.outcome }}",
                description: "Spans and logs do not arrive. The guide says for each reason what to do.",
                section: "records-are-lost",
            }),
            Rule::Alert(Alert {
                name: "CollectorAway",
                expr: "sum by (job, exporter) (increase(throughline_pump_retries_total[10m])) > 10
                    and sum by (job, exporter) (increase(throughline_pump_batches_total[10m])) == 0",
                lasts: "5m",
                severity: "warning",
                summary: "{{ $labels.exporter }} of {{ $labels.job }} delivers nothing",
                description: "Requests to the collector are repeated and none succeeds. Records wait in memory and then in the spool, if there is one.",
                section: "the-collector-cannot-be-reached",
            }),
            Rule::Alert(Alert {
                name: "RingNearlyFull",
                expr: "max by (job, instance) (throughline_pump_ring_fill_ratio) > 0.8",
                lasts: "5m",
                severity: "warning",
                summary: "a ring of {{ $labels.job }} is {{ $value | humanizePercentage }} full",
                description: "At 100 % records are lost. Make rings larger, or record less.",
                section: "records-are-lost",
            }),
            Rule::Alert(Alert {
                name: "ClockWasSet",
                expr: "increase(throughline_clock_steps_total[10m]) > 0 or (throughline_clock_steps_total unless throughline_clock_steps_total offset 10m) > 0",
                lasts: "0m",
                severity: "warning",
                summary: "the wall clock of {{ $labels.instance }} was set",
                description: "Times of logs and spans of this machine jump. Look at its time synchronisation.",
                section: "times-are-wrong",
            }),
        ],
    },
    Group {
        name: "throughline-devices",
        rules: &[
            Rule::Alert(Alert {
                name: "DeviceSilent",
                expr: "time() - max by (device_id) (throughline_device_last_record_seconds) > 300",
                lasts: "0m",
                severity: "warning",
                summary: "device {{ $labels.device_id }} has been silent for {{ $value | humanizeDuration }}",
                description: "No record arrived: the device is off or stuck, its link is broken, or the host tool does not run.",
                section: "a-device-is-silent",
            }),
            Rule::Alert(Alert {
                name: "DeviceLinkLoses",
                expr: "sum by (device_id) (rate(throughline_records_total{hop=\"link\", outcome=\"lost\"}[10m]))
                    / sum by (device_id) (rate(throughline_records_total{hop=\"link\"}[10m])) > 0.01",
                lasts: "10m",
                severity: "warning",
                summary: "the link of device {{ $labels.device_id }} loses {{ $value | humanizePercentage }} of its records",
                description: "Frames are lost or damaged on the way. Look at cable, baud rate, and the load of the host.",
                section: "a-device-loses-records",
            }),
            Rule::Alert(Alert {
                name: "DeviceRingFull",
                expr: "sum by (device_id) (rate(throughline_records_total{hop=\"device\", outcome!=\"output\"}[10m])) > 0",
                lasts: "10m",
                severity: "warning",
                summary: "device {{ $labels.device_id }} loses {{ $value | humanize }} records a second",
                description: "The device makes more records than its link takes. Make the ring larger, flush more often, or record less.",
                section: "a-device-loses-records",
            }),
            Rule::Alert(Alert {
                name: "DeviceResets",
                expr: "count by (device_id) (count by (device_id, instance) (last_over_time(throughline_device_boot[1h]))) - 1 > 2",
                lasts: "0m",
                severity: "critical",
                summary: "device {{ $labels.device_id }} has been reset {{ $value }} times within an hour",
                description: "A watchdog, a panic or the power supply. The black box of the device has its last records.",
                section: "a-device-resets",
            }),
        ],
    },
];
