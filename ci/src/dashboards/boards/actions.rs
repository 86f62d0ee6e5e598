//! What a service does to others: calls, queries, messages, and the delivery of its own telemetry.

use crate::dashboards::model::Unit::{Count, PerMinute, Seconds, Share};
use crate::dashboards::model::{Board, Row, graph, query};

pub(super) const BOARD: Board = Board {
    id: "throughline-actions",
    title: "Action performance",
    about: "What services do to others: how many actions of each type there are, how long they take, which fail, and which are tried again.",
    found_by: "throughline_records_total",
    rows: &[
        Row {
            title: "All actions",
            panels: &[
                graph(
                    "Executed, by type",
                    PerMinute,
                    "Calls over HTTP and gRPC, queries of databases and messages that were sent.",
                    &[
                        query("60 * sum(rate(http_client_request_duration_seconds_count{$s}[$r]))", "HTTP"),
                        query("60 * sum(rate(rpc_client_call_duration_seconds_count{$s}[$r]))", "gRPC"),
                        query("60 * sum(rate(db_client_operation_duration_seconds_count{$s}[$r]))", "query"),
                        query("60 * sum(rate(messaging_client_operation_duration_seconds_count{$s}[$r]))", "message"),
                    ],
                ),
                graph(
                    "Latency, by type",
                    Seconds,
                    "The time within which 95 % of the actions of a type were done.",
                    &[
                        query(
                            "histogram_quantile(0.95, sum by (le) (rate(http_client_request_duration_seconds_bucket{$s}[$r])))",
                            "HTTP",
                        ),
                        query(
                            "histogram_quantile(0.95, sum by (le) (rate(rpc_client_call_duration_seconds_bucket{$s}[$r])))",
                            "gRPC",
                        ),
                        query(
                            "histogram_quantile(0.95, sum by (le) (rate(db_client_operation_duration_seconds_bucket{$s}[$r])))",
                            "query",
                        ),
                        query(
                            "histogram_quantile(0.95, sum by (le) (rate(messaging_client_operation_duration_seconds_bucket{$s}[$r])))",
                            "message",
                        ),
                    ],
                ),
                graph(
                    "Failed share, by type",
                    Share,
                    "Share of the actions that failed, for whatever reason.",
                    &[
                        query(
                            "(sum(rate(http_client_request_duration_seconds_count{error_type!=\"\", $s}[$r])) or vector(0))
                                / sum(rate(http_client_request_duration_seconds_count{$s}[$r]))",
                            "HTTP",
                        ),
                        query(
                            "(sum(rate(rpc_client_call_duration_seconds_count{error_type!=\"\", $s}[$r])) or vector(0))
                                / sum(rate(rpc_client_call_duration_seconds_count{$s}[$r]))",
                            "gRPC",
                        ),
                        query(
                            "(sum(rate(db_client_operation_duration_seconds_count{error_type!=\"\", $s}[$r])) or vector(0))
                                / sum(rate(db_client_operation_duration_seconds_count{$s}[$r]))",
                            "query",
                        ),
                        query(
                            "(sum(rate(messaging_client_operation_duration_seconds_count{error_type!=\"\", $s}[$r])) or vector(0))
                                / sum(rate(messaging_client_operation_duration_seconds_count{$s}[$r]))",
                            "message",
                        ),
                    ],
                ),
            ],
        },
        Row {
            title: "Actions of observers: with the feature observers",
            panels: &[
                graph(
                    "Executed by observers, by type",
                    PerMinute,
                    "Actions that were run, by type and outcome.",
                    &[query(
                        "60 * sum by (action, outcome) (rate(observer_actions_executed_total{$s}[$r]))",
                        "{{action}} {{outcome}}",
                    )],
                ),
                graph(
                    "Latency of observers' actions, by type",
                    Seconds,
                    "The time within which 95 % of the actions of a type were done, all attempts together.",
                    &[query(
                        "histogram_quantile(0.95, sum by (le, action) (rate(observer_action_duration_ms_bucket{$s}[$r]))) / 1000",
                        "{{action}}",
                    )],
                ),
                graph(
                    "Actions of observers that failed",
                    Share,
                    "The share of an observer's actions that were not done.",
                    &[query(
                        "sum by (observer, action) (rate(observer_actions_executed_total{outcome=\"failure\", $s}[$r]))
                            / (sum by (observer, action) (rate(observer_actions_executed_total{$s}[$r])) > 0)",
                        "{{observer}} {{action}}",
                    )],
                ),
            ],
        },
        Row {
            title: "Calls over HTTP",
            panels: &[
                graph(
                    "Calls by server",
                    PerMinute,
                    "Calls that were answered or failed, by the server that was called.",
                    &[query(
                        "60 * sum by (http_request_method, server_address) (rate(http_client_request_duration_seconds_count{$s}[$r]))",
                        "{{http_request_method}} {{server_address}}",
                    )],
                ),
                graph(
                    "Latency by server",
                    Seconds,
                    "The time within which 95 % of the calls of a server were answered, as its caller saw it.",
                    &[query(
                        "histogram_quantile(0.95, sum by (le, server_address) (rate(http_client_request_duration_seconds_bucket{$s}[$r])))",
                        "{{server_address}}",
                    )],
                ),
                graph(
                    "Failures by server",
                    PerMinute,
                    "Calls that failed, by server and by status or type of the error.",
                    &[query(
                        "60 * sum by (server_address, error_type) (rate(http_client_request_duration_seconds_count{error_type!=\"\", $s}[$r]))",
                        "{{server_address}} {{error_type}}",
                    )],
                ),
            ],
        },
        Row {
            title: "Calls of gRPC",
            panels: &[
                graph(
                    "Calls by method",
                    PerMinute,
                    "Calls that were answered or failed, by the method that was called.",
                    &[query(
                        "60 * sum by (rpc_method, server_address) (rate(rpc_client_call_duration_seconds_count{$s}[$r]))",
                        "{{rpc_method}} {{server_address}}",
                    )],
                ),
                graph(
                    "Latency by method",
                    Seconds,
                    "The time within which 95 % of the calls of a method were answered, as its caller saw it.",
                    &[query(
                        "histogram_quantile(0.95, sum by (le, rpc_method) (rate(rpc_client_call_duration_seconds_bucket{$s}[$r])))",
                        "{{rpc_method}}",
                    )],
                ),
                graph(
                    "Failures by method",
                    PerMinute,
                    "Calls that failed, by method and status.",
                    &[query(
                        "60 * sum by (rpc_method, rpc_response_status_code) (rate(rpc_client_call_duration_seconds_count{error_type!=\"\", $s}[$r]))",
                        "{{rpc_method}} {{rpc_response_status_code}}",
                    )],
                ),
            ],
        },
        Row {
            title: "Queries of databases",
            panels: &[
                graph(
                    "Queries by table",
                    PerMinute,
                    "Queries by operation and table.",
                    &[query(
                        "60 * sum by (db_operation_name, db_collection_name) (rate(db_client_operation_duration_seconds_count{$s}[$r]))",
                        "{{db_operation_name}} {{db_collection_name}}",
                    )],
                ),
                graph(
                    "Latency by table",
                    Seconds,
                    "The time within which 95 % of the queries of a table were answered.",
                    &[query(
                        "histogram_quantile(0.95, sum by (le, db_operation_name, db_collection_name) (rate(db_client_operation_duration_seconds_bucket{$s}[$r])))",
                        "{{db_operation_name}} {{db_collection_name}}",
                    )],
                ),
                graph(
                    "Queries in a request",
                    Count,
                    "Queries divided by requests of the service. A number that grows with the data is a query in a loop.",
                    &[query(
                        "sum by (job) (rate(db_client_operation_duration_seconds_count{$s}[$r]))
                            / (sum by (job) (rate(http_server_request_duration_seconds_count{$s}[$r])) > 0)",
                        "{{job}}",
                    )],
                ),
            ],
        },
        Row {
            title: "Delivery of telemetry",
            panels: &[
                graph(
                    "Requests by exporter",
                    PerMinute,
                    "Requests to collectors and backends, and batches that were written.",
                    &[query(
                        "60 * sum by (exporter) (rate(throughline_pump_request_duration_seconds_count{$s}[$r]))",
                        "{{exporter}}",
                    )],
                ),
                graph(
                    "Retries",
                    PerMinute,
                    "Requests that repeated an earlier one, because the collector was away or busy.",
                    &[query("60 * sum by (exporter) (rate(throughline_pump_retries_total{$s}[$r]))", "{{exporter}}")],
                ),
                graph(
                    "Batches delivered",
                    PerMinute,
                    "Batches that were delivered.",
                    &[query("60 * sum by (exporter) (rate(throughline_pump_batches_total{$s}[$r]))", "{{exporter}}")],
                ),
            ],
        },
    ],
};
