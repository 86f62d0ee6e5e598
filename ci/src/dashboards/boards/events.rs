//! Messages that a service processes, and the records that it makes of what it does.

use crate::dashboards::model::Unit::{Bytes, Count, PerMinute, PerSecond, Seconds};
use crate::dashboards::model::{Board, Row, graph, query};

pub(super) const BOARD: Board = Board {
    id: "throughline-events",
    title: "Event processing",
    about: "How many messages and records are processed, in batches of what size, how long that takes, and what fails.",
    found_by: "throughline_records_total",
    rows: &[
        Row {
            title: "Messages",
            panels: &[
                graph(
                    "Processed",
                    PerMinute,
                    "Messages that consumers have processed, failed ones included.",
                    &[query(
                        "60 * sum by (messaging_destination_name) (rate(messaging_process_duration_seconds_count{$s}[$r]))",
                        "{{messaging_destination_name}}",
                    )],
                ),
                graph(
                    "Sent and not processed yet",
                    PerMinute,
                    "Messages sent less messages processed. Above 0 for long means that a queue grows.",
                    &[query(
                        "60 * (sum by (messaging_destination_name) (rate(messaging_client_operation_duration_seconds_count{messaging_operation_type=\"send\", $s}[$r]))
                            - sum by (messaging_destination_name) (rate(messaging_process_duration_seconds_count{$s}[$r])))",
                        "{{messaging_destination_name}}",
                    )],
                ),
                graph(
                    "Failures by type",
                    PerMinute,
                    "Messages whose processing failed, by the type of the error.",
                    &[query(
                        "60 * sum by (messaging_destination_name, error_type) (rate(messaging_process_duration_seconds_count{error_type!=\"\", $s}[$r]))",
                        "{{messaging_destination_name}} {{error_type}}",
                    )],
                ),
                graph(
                    "Latency",
                    Seconds,
                    "The times within which 50, 95 and 99 % of all messages were processed.",
                    &[
                        query(
                            "histogram_quantile(0.5, sum by (le) (rate(messaging_process_duration_seconds_bucket{$s}[$r])))",
                            "p50",
                        ),
                        query(
                            "histogram_quantile(0.95, sum by (le) (rate(messaging_process_duration_seconds_bucket{$s}[$r])))",
                            "p95",
                        ),
                        query(
                            "histogram_quantile(0.99, sum by (le) (rate(messaging_process_duration_seconds_bucket{$s}[$r])))",
                            "p99",
                        ),
                    ],
                ),
                graph(
                    "Latency by destination",
                    Seconds,
                    "The time within which 95 % of the messages of a destination were processed.",
                    &[query(
                        "histogram_quantile(0.95, sum by (le, messaging_destination_name) (rate(messaging_process_duration_seconds_bucket{$s}[$r])))",
                        "{{messaging_destination_name}}",
                    )],
                ),
                graph(
                    "Time to send",
                    Seconds,
                    "The time within which 95 % of the messages were handed to the broker.",
                    &[query(
                        "histogram_quantile(0.95, sum by (le, messaging_destination_name) (rate(messaging_client_operation_duration_seconds_bucket{$s}[$r])))",
                        "{{messaging_destination_name}}",
                    )],
                ),
            ],
        },
        Row {
            title: "Events that observers look at: with the feature observers",
            panels: &[
                graph(
                    "Processed by observers",
                    PerMinute,
                    "Spans, events and series of metrics that each observer has looked at.",
                    &[query(
                        "60 * sum by (job, observer) (rate(observer_events_processed_total{$s}[$r]))",
                        "{{job}} {{observer}}",
                    )],
                ),
                graph(
                    "Batch size of observers",
                    Count,
                    "The average number of records that observers were given at once.",
                    &[query(
                        "sum by (job) (rate(observer_batch_size_sum{$s}[$r])) / (sum by (job) (rate(observer_batch_size_count{$s}[$r])) > 0)",
                        "{{job}}",
                    )],
                ),
                graph(
                    "Latency of observers",
                    Seconds,
                    "The time within which 95 % of the records were looked at.",
                    &[query(
                        "histogram_quantile(0.95, sum by (le, observer) (rate(observer_event_duration_ms_bucket{$s}[$r]))) / 1000",
                        "{{observer}}",
                    )],
                ),
                graph(
                    "Matches",
                    PerMinute,
                    "Records for which the condition of an observer held.",
                    &[query(
                        "60 * sum by (job, observer) (rate(observer_condition_matches_total{$s}[$r]))",
                        "{{job}} {{observer}}",
                    )],
                ),
                graph(
                    "Errors of observers, by type",
                    PerMinute,
                    "Conditions that could not be computed, and actions that failed or found no room.",
                    &[query(
                        "60 * sum by (observer, error_type) (rate(observer_errors_total{$s}[$r]))",
                        "{{observer}} {{error_type}}",
                    )],
                ),
            ],
        },
        Row {
            title: "Spans and logs",
            panels: &[
                graph(
                    "Recorded",
                    PerMinute,
                    "Spans and logs that the program has made and that were read from its rings.",
                    &[query(
                        "60 * sum by (job) (rate(throughline_records_total{hop=\"ring\", outcome=\"output\", $s}[$r]))",
                        "{{job}}",
                    )],
                ),
                graph(
                    "Delivered",
                    PerMinute,
                    "Spans and logs that each exporter has delivered.",
                    &[query(
                        "60 * sum by (hop) (rate(throughline_records_total{hop!~\"ring|pump|sampler|tail_sampler\", outcome=\"output\", $s}[$r]))",
                        "{{hop}}",
                    )],
                ),
                graph(
                    "Not delivered, by reason",
                    PerMinute,
                    "Records that were dropped, by hop and reason. Those that sampling and rate limits left out are among them, because they \
                        were configured so.",
                    &[query(
                        "60 * sum by (hop, outcome) (rate(throughline_records_total{outcome!~\"output|absorbed\", $s}[$r]))",
                        "{{hop}} {{outcome}}",
                    )],
                ),
                graph(
                    "Records in a batch",
                    Count,
                    "The average size of the batches that were delivered.",
                    &[query(
                        "sum by (exporter) (label_join(rate(throughline_records_total{outcome=\"output\", $s}[$r]), \"exporter\", \"\", \"hop\"))
                            / (sum by (exporter) (rate(throughline_pump_batches_total{$s}[$r])) > 0)",
                        "{{exporter}}",
                    )],
                ),
                graph(
                    "Bytes in a batch",
                    Bytes,
                    "The average size of the batches that were delivered, as they were sent.",
                    &[query(
                        "sum by (exporter) (rate(throughline_pump_sent_bytes_total{$s}[$r]))
                            / (sum by (exporter) (rate(throughline_pump_batches_total{$s}[$r])) > 0)",
                        "{{exporter}}",
                    )],
                ),
                graph(
                    "Time to deliver",
                    Seconds,
                    "The time within which 95 % of the requests of an exporter were answered, or its batches written.",
                    &[query(
                        "histogram_quantile(0.95, sum by (le, exporter) (rate(throughline_pump_request_duration_seconds_bucket{$s}[$r])))",
                        "{{exporter}}",
                    )],
                ),
                graph(
                    "Time to read the rings",
                    Seconds,
                    "The time within which 99 % of the pump's rounds were done. It runs on one thread beside the program's.",
                    &[query(
                        "histogram_quantile(0.99, sum by (le, job) (rate(throughline_pump_drain_duration_seconds_bucket{$s}[$r])))",
                        "{{job}}",
                    )],
                ),
                graph(
                    "Rounds of the pump",
                    PerSecond,
                    "How often the rings are read.",
                    &[query(
                        "sum by (job) (rate(throughline_pump_drain_duration_seconds_count{$s}[$r]))",
                        "{{job}}",
                    )],
                ),
            ],
        },
    ],
};
