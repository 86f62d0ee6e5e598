//! Where to look when something is wrong: what fails, what is slow, what was lost, and what came back.

use crate::dashboards::model::Unit::{Count, PerMinute, Seconds, Share};
use crate::dashboards::model::{Board, Row, graph, query, table};

pub(super) const BOARD: Board = Board {
    id: "throughline-troubleshooting",
    title: "Troubleshooting",
    about: "What fails, what is slow, what was lost, and whether it came back.",
    found_by: "throughline_records_total",
    rows: &[
        Row {
            title: "What fails",
            panels: &[
                graph(
                    "Failed requests by type",
                    PerMinute,
                    "Requests that failed on the server's side, by route and by status or type of the error.",
                    &[query(
                        "60 * sum by (http_route, error_type) (rate(http_server_request_duration_seconds_count{error_type!=\"\", $s}[$r]))",
                        "{{http_route}} {{error_type}}",
                    )],
                ),
                graph(
                    "Failed actions by type",
                    PerMinute,
                    "Calls, queries and messages that failed, by the type of the error.",
                    &[
                        query(
                            "60 * sum by (server_address, error_type) (rate(http_client_request_duration_seconds_count{error_type!=\"\", $s}[$r]))",
                            "call {{server_address}} {{error_type}}",
                        ),
                        query(
                            "60 * sum by (rpc_method, error_type) (rate(rpc_client_call_duration_seconds_count{error_type!=\"\", $s}[$r]))",
                            "call {{rpc_method}} {{error_type}}",
                        ),
                        query(
                            "60 * sum by (db_collection_name, error_type) (rate(db_client_operation_duration_seconds_count{error_type!=\"\", $s}[$r]))",
                            "query {{db_collection_name}} {{error_type}}",
                        ),
                        query(
                            "60 * sum by (messaging_destination_name, error_type) (rate(messaging_process_duration_seconds_count{error_type!=\"\", $s}[$r]))",
                            "message {{messaging_destination_name}} {{error_type}}",
                        ),
                    ],
                ),
                graph(
                    "Error trend",
                    Share,
                    "The share of failed requests now, and an hour ago. A gap between the lines is what has changed.",
                    &[
                        query(
                            "(sum(rate(http_server_request_duration_seconds_count{error_type!=\"\", $s}[$r])) or vector(0))
                                / sum(rate(http_server_request_duration_seconds_count{$s}[$r]))",
                            "now",
                        ),
                        query(
                            "(sum(rate(http_server_request_duration_seconds_count{error_type!=\"\", $s}[$r] offset 1h)) or vector(0))
                                / (sum(rate(http_server_request_duration_seconds_count{$s}[$r] offset 1h)) or vector(1))",
                            "an hour ago",
                        ),
                    ],
                ),
                graph(
                    "Checks that fail",
                    Count,
                    "Checks of health that are not healthy now.",
                    &[query("count by (job) (health_check_status{$s} < 1) or 0 * count by (job) (health_check_status{$s})", "{{job}}")],
                ),
            ],
        },
        Row {
            title: "Alerts that processes evaluate themselves: with the feature alerts",
            panels: &[
                graph(
                    "Alerts",
                    Count,
                    "Alerts that are pending or firing. The page /alerts of the process says which.",
                    &[query("sum by (job, state) (alerts_active{$s})", "{{job}} {{state}}")],
                ),
                graph(
                    "Suppressed",
                    PerMinute,
                    "Alerts that fire and of which nobody was told, by reason.",
                    &[query("60 * sum by (job, reason) (rate(alerts_suppressed_total{$s}[$r]))", "{{job}} {{reason}}")],
                ),
                graph(
                    "Time to evaluate",
                    Seconds,
                    "How long the last evaluation of all rules of a process took.",
                    &[query("max by (job) (alerts_evaluation_duration_seconds{$s})", "{{job}}")],
                ),
            ],
        },
        Row {
            title: "What is slow",
            panels: &[
                table(
                    "Slowest routes",
                    Seconds,
                    "The ten routes with the greatest 95 % latency. A dot in a graph of latencies leads to a trace of such a request.",
                    &[query(
                        "topk(10, histogram_quantile(0.95, sum by (le, job, http_request_method, http_route)
                            (rate(http_server_request_duration_seconds_bucket{$s}[$r]))))",
                        "{{http_request_method}} {{http_route}}",
                    )],
                ),
                table(
                    "Slowest queries",
                    Seconds,
                    "The ten operations of databases with the greatest 95 % latency.",
                    &[query(
                        "topk(10, histogram_quantile(0.95, sum by (le, job, db_operation_name, db_collection_name)
                            (rate(db_client_operation_duration_seconds_bucket{$s}[$r]))))",
                        "{{db_operation_name}} {{db_collection_name}}",
                    )],
                ),
                table(
                    "Where the time goes",
                    Share,
                    "Seconds that requests of a route took, in a second of all: what to make faster first.",
                    &[query(
                        "topk(10, sum by (job, http_request_method, http_route) (rate(http_server_request_duration_seconds_sum{$s}[$r])))",
                        "{{http_request_method}} {{http_route}}",
                    )],
                ),
                table(
                    "Slower than an hour ago",
                    Share,
                    "The average time of a route by the one an hour ago, or by itself where there was none: 2 is twice as slow.",
                    &[query(
                        "topk(10,
                            (sum by (job, http_route) (rate(http_server_request_duration_seconds_sum{$s}[$r])) / sum by (job, http_route) (rate(http_server_request_duration_seconds_count{$s}[$r])))
                            / ((sum by (job, http_route) (rate(http_server_request_duration_seconds_sum{$s}[$r] offset 1h)) / sum by (job, http_route) (rate(http_server_request_duration_seconds_count{$s}[$r] offset 1h)))
                                or (sum by (job, http_route) (rate(http_server_request_duration_seconds_sum{$s}[$r])) / sum by (job, http_route) (rate(http_server_request_duration_seconds_count{$s}[$r])))))",
                        "{{http_route}}",
                    )],
                ),
            ],
        },
        Row {
            title: "What processes find out about themselves: with the feature insights",
            panels: &[
                graph(
                    "Findings",
                    Count,
                    "Bottlenecks that the last report found, by kind. The page /debug/insights of the process says which, with their traces.",
                    &[query("sum by (job, kind) (throughline_insights_findings{$s})", "{{job}} {{kind}}")],
                ),
                graph(
                    "What runs out within a day",
                    Count,
                    "Memory, disks and open files that may be used up within 24 hours, if it goes on as it does. The page has the interval.",
                    &[query(
                        "count by (job, resource) (throughline_forecast_time_left_seconds{bound=\"earliest\", $s} < 86400)
                            or 0 * max by (job) (throughline_insights_findings{$s})",
                        "{{job}} {{resource}}",
                    )],
                ),
            ],
        },
        Row {
            title: "What was lost, and what came back",
            panels: &[
                graph(
                    "Records lost, by reason",
                    PerMinute,
                    "Spans and logs that were lost, by hop and reason. The guide to troubleshooting says what to do about each reason.",
                    &[query(
                        concat!("60 * sum by (hop, outcome) (rate(throughline_records_total{", lost!(), ", $s}[$r]))
                            or 60 * sum by (hop) (rate(throughline_records_total{hop=\"ring\", outcome=\"output\", $s}[$r])) * 0"),
                        "{{hop}} {{outcome}}",
                    )],
                ),
                graph(
                    "Retries",
                    PerMinute,
                    "Requests to collectors that repeated an earlier one.",
                    &[query("60 * sum by (exporter) (rate(throughline_pump_retries_total{$s}[$r]))", "{{exporter}}")],
                ),
                graph(
                    "Recovery from the spool",
                    Count,
                    "Records that wait on the disk. The line falls when the collector is back, also after the service was started again.",
                    &[query("sum by (exporter) (throughline_pump_spool_records{$s})", "{{exporter}}")],
                ),
                graph(
                    "Processes started",
                    Count,
                    "How often the process of an instance was started within an hour, beyond the first.",
                    &[query("sum by (job) (changes(process_start_time_seconds{$s}[1h]))", "{{job}}")],
                ),
            ],
        },
    ],
};
