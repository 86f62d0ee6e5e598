//! What a service is like now: requests, errors, latency, and who calls whom.

use crate::dashboards::model::Unit::{Count, PerSecond, Seconds, Share};
use crate::dashboards::model::{Board, COLUMNS, Panel, Row, View, graph, number, query};

pub(super) const BOARD: Board = Board {
    id: "throughline-overview",
    title: "System overview",
    about: "How many requests there are, how many fail, how long they take, and which service calls which.",
    found_by: "throughline_records_total",
    rows: &[
        Row {
            title: "Now",
            panels: &[
                number("Instances up", Count, "Targets whose last scrape succeeded.", &[query("sum(up{$s})", "up")]),
                number(
                    "Health",
                    Share,
                    "The least healthy service: 1 is healthy, 0.5 degraded, 0 unhealthy. The dashboard System health names the check.",
                    &[query("min(health_status{$s})", "health")],
                ),
                number(
                    "Requests",
                    PerSecond,
                    "Requests that were answered, of all services.",
                    &[query("sum(rate(http_server_request_duration_seconds_count{$s}[$r]))", "requests")],
                ),
                number(
                    "Errors",
                    Share,
                    "Share of the requests that failed on the server's side: status 500 and above, panics, requests that were given up.",
                    &[query(
                        "(sum(rate(http_server_request_duration_seconds_count{error_type!=\"\", $s}[$r])) or vector(0))
                            / sum(rate(http_server_request_duration_seconds_count{$s}[$r]))",
                        "errors",
                    )],
                ),
                number(
                    "95 % are faster than",
                    Seconds,
                    "The time within which 95 % of all requests were answered.",
                    &[query(
                        "histogram_quantile(0.95, sum by (le) (rate(http_server_request_duration_seconds_bucket{$s}[$r])))",
                        "p95",
                    )],
                ),
                number(
                    "Records lost",
                    PerSecond,
                    "Spans and logs that were lost anywhere between the program and its backends. It is 0 in normal operation.",
                    &[query(
                        concat!("sum(rate(throughline_records_total{", lost!(), ", $s}[$r])) or vector(0)"),
                        "lost",
                    )],
                ),
            ],
        },
        Row {
            title: "Requests",
            panels: &[
                graph(
                    "Throughput by service",
                    PerSecond,
                    "Requests that were answered.",
                    &[query("sum by (job) (rate(http_server_request_duration_seconds_count{$s}[$r]))", "{{job}}")],
                ),
                graph(
                    "Error share by service",
                    Share,
                    "Share of the requests that failed on the server's side.",
                    &[query(
                        "(sum by (job) (rate(http_server_request_duration_seconds_count{error_type!=\"\", $s}[$r]))
                            or 0 * sum by (job) (rate(http_server_request_duration_seconds_count{$s}[$r])))
                            / sum by (job) (rate(http_server_request_duration_seconds_count{$s}[$r]))",
                        "{{job}}",
                    )],
                ),
                graph(
                    "Latency",
                    Seconds,
                    "The times within which 50, 95 and 99 % of all requests were answered. A dot is an exemplar: it leads to its trace.",
                    &[
                        query(
                            "histogram_quantile(0.5, sum by (le) (rate(http_server_request_duration_seconds_bucket{$s}[$r])))",
                            "p50",
                        ),
                        query(
                            "histogram_quantile(0.95, sum by (le) (rate(http_server_request_duration_seconds_bucket{$s}[$r])))",
                            "p95",
                        ),
                        query(
                            "histogram_quantile(0.99, sum by (le) (rate(http_server_request_duration_seconds_bucket{$s}[$r])))",
                            "p99",
                        ),
                    ],
                ),
                graph(
                    "Throughput by route",
                    PerSecond,
                    "Requests that were answered, by method and template of the path.",
                    &[query(
                        "sum by (http_request_method, http_route) (rate(http_server_request_duration_seconds_count{$s}[$r]))",
                        "{{http_request_method}} {{http_route}}",
                    )],
                ),
                graph(
                    "Latency by route",
                    Seconds,
                    "The time within which 95 % of the requests of a route were answered.",
                    &[query(
                        "histogram_quantile(0.95, sum by (le, http_request_method, http_route)
                            (rate(http_server_request_duration_seconds_bucket{$s}[$r])))",
                        "{{http_request_method}} {{http_route}}",
                    )],
                ),
                graph(
                    "Open requests",
                    Count,
                    "Requests that are being answered. A line that rises while throughput does not means that something waits.",
                    &[query("sum by (job) (http_server_active_requests{$s})", "{{job}}")],
                ),
            ],
        },
        Row {
            title: "Calls of gRPC that were answered",
            panels: &[
                graph(
                    "Throughput by method",
                    PerSecond,
                    "Calls that were answered, by method.",
                    &[query(
                        "sum by (rpc_method) (rate(rpc_server_call_duration_seconds_count{$s}[$r]))",
                        "{{rpc_method}}",
                    )],
                ),
                graph(
                    "Failures by method",
                    PerSecond,
                    "Calls that failed on the server's side, by method and status.",
                    &[query(
                        "sum by (rpc_method, rpc_response_status_code) (rate(rpc_server_call_duration_seconds_count{error_type!=\"\", $s}[$r]))",
                        "{{rpc_method}} {{rpc_response_status_code}}",
                    )],
                ),
                graph(
                    "Latency by method",
                    Seconds,
                    "The time within which 95 % of the calls of a method were answered.",
                    &[query(
                        "histogram_quantile(0.95, sum by (le, rpc_method) (rate(rpc_server_call_duration_seconds_bucket{$s}[$r])))",
                        "{{rpc_method}}",
                    )],
                ),
            ],
        },
        Row {
            title: "Who calls whom",
            panels: &[
                Panel {
                    title: "Service graph",
                    about: "Services, the servers and databases that they call, and the queues between them, with operations per second. \
                        It is made from the metrics of clients, so it needs no traces. A server has the name under which it is called: its \
                        circle is the service's own where that is also the name of its job.",
                    unit: PerSecond,
                    view: View::Nodes,
                    width: COLUMNS,
                    queries: &[
                        query(
                            "sum by (id) (
                                label_join(sum by (job) (rate(http_server_request_duration_seconds_count{$s}[$r])), \"id\", \"\", \"job\")
                                or label_join(sum by (server_address) (rate(http_client_request_duration_seconds_count{$s}[$r])), \"id\", \"\", \"server_address\")
                                or label_join(sum by (server_address) (rate(rpc_client_call_duration_seconds_count{$s}[$r])), \"id\", \"\", \"server_address\")
                                or label_join(sum by (db_system_name, db_namespace) (rate(db_client_operation_duration_seconds_count{$s}[$r])), \"id\", \"/\", \"db_system_name\", \"db_namespace\")
                                or label_join(sum by (messaging_system, messaging_destination_name) (rate(messaging_client_operation_duration_seconds_count{$s}[$r])), \"id\", \"/\", \"messaging_system\", \"messaging_destination_name\")
                            )",
                            "{{id}}",
                        ),
                        query(
                            "label_join(sum by (source, target) (
                                label_join(label_join(sum by (job, server_address) (rate(http_client_request_duration_seconds_count{$s}[$r])),
                                    \"source\", \"\", \"job\"), \"target\", \"\", \"server_address\")
                                or label_join(label_join(sum by (job, server_address) (rate(rpc_client_call_duration_seconds_count{$s}[$r])),
                                    \"source\", \"\", \"job\"), \"target\", \"\", \"server_address\")
                                or label_join(label_join(sum by (job, db_system_name, db_namespace) (rate(db_client_operation_duration_seconds_count{$s}[$r])),
                                    \"source\", \"\", \"job\"), \"target\", \"/\", \"db_system_name\", \"db_namespace\")
                                or label_join(label_join(sum by (job, messaging_system, messaging_destination_name) (rate(messaging_client_operation_duration_seconds_count{$s}[$r])),
                                    \"source\", \"\", \"job\"), \"target\", \"/\", \"messaging_system\", \"messaging_destination_name\")
                                or label_join(label_join(sum by (job, messaging_system, messaging_destination_name) (rate(messaging_process_duration_seconds_count{$s}[$r])),
                                    \"target\", \"\", \"job\"), \"source\", \"/\", \"messaging_system\", \"messaging_destination_name\")
                            ), \"id\", \" → \", \"source\", \"target\")",
                            "{{source}} → {{target}}",
                        ),
                    ],
                },
            ],
        },
    ],
};
