//! Devices: their links, what they and the links lost, their rings, their boots, and how busy they are. The host tool
//! `throughline decode --otlp` makes these metrics.

use crate::dashboards::model::Unit::{Count, PerMinute, PerSecond, Seconds, Share};
use crate::dashboards::model::{Board, Row, graph, number, query};

pub(super) const BOARD: Board = Board {
    id: "throughline-devices",
    title: "Devices",
    about: "What devices send, what they and their links lose, how full their rings are, how often they boot, and how busy they are.",
    found_by: "throughline_device_boot",
    rows: &[
        Row {
            title: "Now",
            panels: &[
                number(
                    "Devices",
                    Count,
                    "Devices that were heard of lately.",
                    &[query("count(count by (device_id) (throughline_device_boot{$s}))", "devices")],
                ),
                number(
                    "Records",
                    PerSecond,
                    "Spans and logs that arrived and were decoded.",
                    &[query(
                        "sum(rate(throughline_records_total{hop=\"decoder\", outcome=\"output\", $s}[$r]))",
                        "records",
                    )],
                ),
                number(
                    "Lost on devices",
                    Share,
                    "Share of the records that devices made and could not keep, since they booted.",
                    &[query(
                        "sum(throughline_records_total{hop=\"device\", outcome!=\"output\", $s}) / sum(throughline_records_total{hop=\"device\", $s})",
                        "lost",
                    )],
                ),
                number(
                    "Lost on links",
                    Share,
                    "Share of the records that were in frames which were lost or damaged on the way, since the devices booted.",
                    &[query(
                        "sum(throughline_records_total{hop=\"link\", outcome=\"lost\", $s}) / sum(throughline_records_total{hop=\"link\", $s})",
                        "lost",
                    )],
                ),
            ],
        },
        Row {
            title: "Links",
            panels: &[
                graph(
                    "Records that arrived",
                    PerSecond,
                    "Spans and logs in frames that arrived whole. A line at 0 is a device that is silent.",
                    &[query(
                        "sum by (device_id) (rate(throughline_records_total{hop=\"link\", outcome=\"output\", $s}[$r]))",
                        "{{device_id}}",
                    )],
                ),
                graph(
                    "Frames lost on the link",
                    PerMinute,
                    "Frames that were lost or damaged on the way. More than a few: look at the cable, the baud rate and the host's load.",
                    &[query(
                        "60 * sum by (device_id) (rate(throughline_device_frames_lost_total{$s}[$r]))",
                        "{{device_id}}",
                    )],
                ),
                graph(
                    "Records lost on the link",
                    PerMinute,
                    "Records in frames that were lost or damaged.",
                    &[query(
                        "60 * sum by (device_id) (rate(throughline_records_total{hop=\"link\", outcome=\"lost\", $s}[$r]))",
                        "{{device_id}}",
                    )],
                ),
            ],
        },
        Row {
            title: "Rings",
            panels: &[
                graph(
                    "Records made",
                    PerSecond,
                    "Spans and logs that the device put into frames.",
                    &[query(
                        "sum by (device_id) (rate(throughline_records_total{hop=\"device\", outcome=\"output\", $s}[$r]))",
                        "{{device_id}}",
                    )],
                ),
                graph(
                    "Lost on the device, by reason",
                    PerMinute,
                    "Records that found the ring full, were overwritten, or were too large for a frame. Make the ring larger, or flush more often.",
                    &[query(
                        "60 * sum by (device_id, outcome) (rate(throughline_records_total{hop=\"device\", outcome!=\"output\", $s}[$r]))",
                        "{{device_id}} {{outcome}}",
                    )],
                ),
                graph(
                    "Ring pressure",
                    Share,
                    "Share of the records that found no room in the ring, or were overwritten, since the device booted.",
                    &[query(
                        "sum by (device_id) (throughline_records_total{hop=\"device\", outcome=~\"ring_full|overwritten\", $s})
                            / sum by (device_id) (throughline_records_total{hop=\"device\", $s})",
                        "{{device_id}}",
                    )],
                ),
            ],
        },
        Row {
            title: "Boots and processor",
            panels: &[
                graph(
                    "Resets",
                    Count,
                    "How often a device booted within an hour, beyond the first. A staircase is a watchdog or a power supply.",
                    &[query("count by (device_id) (count by (device_id, instance) (last_over_time(throughline_device_boot{$s}[1h]))) - 1", "{{device_id}}")],
                ),
                graph(
                    "Processor in spans",
                    Share,
                    "Share of the time in which the device was in a span: what the device is busy with, as far as it is instrumented.",
                    &[query(
                        "sum by (device_id) (rate(throughline_device_busy_seconds_total{$s}[$r]))",
                        "{{device_id}}",
                    )],
                ),
                graph(
                    "Silent for",
                    Seconds,
                    "Time since the last record of a device, by its own clock.",
                    &[query("time() - max by (device_id) (throughline_device_last_record_seconds{$s})", "{{device_id}}")],
                ),
            ],
        },
    ],
};
