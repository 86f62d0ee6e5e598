//! Keys of the process as a whole.

use crate::config::key::{Key, Standard};
use crate::config::value::Kind::{self, Bool, Duration, Int};

const COUNT: Kind = Int { least: 1, most: 1 << 32 };
const ANY: Kind = Int { least: 0, most: u64::MAX };

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "limits.attribute_value_length",
        ANY,
        "",
        "Most characters of a text attribute, of spans and logs, over OTLP and in its files; the terminal and other outputs show all of it. Unless given: no limit but the record's own.",
        |config, value| {
            config.options.spans.value_length = value.size();
            config.options.logs.value_length = value.size();
            Ok(())
        },
    )
    .example("4096")
    .standard(&[Standard::same("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")]),
    Key::new(
        "limits.attribute_count",
        ANY,
        "128",
        "Most attributes of a span or log over OTLP and in its files; more are left out and counted.",
        |config, value| {
            config.options.spans.count = value.size();
            config.options.logs.count = value.size();
            Ok(())
        },
    )
    .standard(&[Standard::same("OTEL_ATTRIBUTE_COUNT_LIMIT")]),
    Key::new(
        "recording.ring_slots",
        Int { least: 8, most: 1 << 30 },
        "8192",
        "Slots in each thread's ring, 64 bytes each; made a power of two.",
        |config, value| {
            config.ring_slots = value.size().next_power_of_two();
            Ok(())
        },
    ),
    Key::new(
        "recording.metric_cells",
        ANY,
        "32768",
        "Metric cells that each thread has of its own, 8 bytes each.",
        set!(metric_cells, size),
    ),
    Key::new(
        "recording.max_threads",
        COUNT,
        "4096",
        "Most threads that may record at a time; what others record is counted as lost.",
        set!(max_threads, size),
    ),
    Key::new(
        "recording.late_fields",
        COUNT,
        "16384",
        "Most records of fields that came after the beginning of open spans, 512 bytes each; a span has 128 of them at most.",
        set!(late_fields, size),
    ),
    Key::new(
        "recording.remote_parents",
        COUNT,
        "65536",
        "How many other remote parents must come before one is forgotten that nothing on this side is in.",
        set!(remote_parents, size),
    ),
    Key::new(
        "recording.code_location",
        Bool,
        "true",
        "Whether spans and logs carry module, file and line.",
        set!(options.code_location, bool),
    ),
    Key::new(
        "recording.report_errors",
        Bool,
        "true",
        "Whether what goes wrong is told on standard error, a line each.",
        set!(report_errors, bool),
    ),
    Key::new(
        "recording.idle_poll",
        Duration,
        "50ms",
        "Longest pause between two looks at the rings when nothing happens.",
        |config, value| {
            config.idle_poll = value.duration().max(std::time::Duration::from_millis(1));
            Ok(())
        },
    ),
    Key::new(
        "recording.flush_on_signals",
        Bool,
        "false",
        "Whether SIGTERM and SIGINT deliver what was recorded before they end the process.",
        set!(flush_on_signals, bool),
    ),
    Key::new(
        "recording.shutdown_timeout",
        Duration,
        "2s",
        "How long the guard's drop may take to deliver what is left.",
        set!(drop_deadline, duration),
    ),
    Key::new(
        "reload.interval",
        Duration,
        "",
        "How often the file is looked at for changes. Unless given, it is not.",
        set_some!(reload_every, duration),
    )
    .example("5s")
    .more_than_zero(),
];
