//! Keys of insights.

use crate::config::key::Key;
use crate::config::places;
use crate::config::value::Kind::{self, Bool, Duration, Int, List, Text};

const fn key(path: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key::of_exporter(path, kind, default, doc).of_feature("insights", cfg!(feature = "insights"))
}

pub(super) const KEYS: &[Key] = &[
    key("insights.enabled", Bool, "", "Whether there is a report, if anything is said here.").example("true"),
    key("insights.path", Text, "/debug/insights", "The path of its page, at admin.host and admin.port.")
        .checked(places::path),
    key("insights.window", Duration, "5m", "What counts as now, and is compared with the windows before.")
        .more_than_zero(),
    key("insights.windows", Int { least: 3, most: 1000 }, "12", "How many earlier windows are kept."),
    key(
        "insights.operations",
        Int { least: 1, most: 100_000 },
        "512",
        "How many names and routes of spans are told apart. Further ones are counted.",
    ),
    key("insights.evidence", Int { least: 0, most: 100 }, "5", "How many traces are named for each finding."),
    key(
        "insights.folders",
        List(&[]),
        "",
        "Folders whose disks are watched, beside those of spools, log files and profiles.",
    )
    .example("/var/lib/shop"),
    key("insights.horizon", Duration, "7d", "How far ahead it is told that something runs out.")
        .more_than_zero(),
];
