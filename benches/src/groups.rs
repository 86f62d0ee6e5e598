//! What a run is limited to: a path, a subject, or a group of them that is measured together. Some groups are benches of their own.

/// The groups. Each has a table of its own in `benches/results`.
///
/// An entry is a path, or a path and the beginning of a subject's name. A peer is in a group if it does for the same
/// calls what a subject of ours in the group does.
pub const GROUPS: &[(&str, &[&str])] = &[
    ("middleware", &["request"]),
    ("throughput", &["export", "export_grpc"]),
    (
        "bridges",
        &[
            "span/throughline",
            "span/tracing",
            "span/opentelemetry",
            "span_2fields/throughline",
            "span_2fields/tracing",
            "span_2fields/opentelemetry",
            "event_2fields/throughline",
            "event_2fields/tracing",
            "event_2fields/log",
            "event_2fields/opentelemetry",
            "sampled_out/throughline",
            "sampled_out/tracing",
            "sampled_out/opentelemetry",
            "counter/throughline",
            "counter/metrics",
            "counter/opentelemetry",
            "counter_family/throughline",
            "counter_family/metrics",
            "counter_family/opentelemetry",
            "histogram/throughline",
            "histogram/metrics",
            "histogram/opentelemetry",
        ],
    ),
];

/// Groups that are benches of their own, and the feature that each needs. They print their tables.
pub const BENCHES: &[(&str, &str)] =
    &[("alerts", "alerts"), ("health", "health"), ("profile", "profile-peers"), ("scrape", "scrape")];

/// The feature of a group that is a bench of its own.
#[must_use]
pub fn feature_of(only: &str) -> Option<&'static str> {
    BENCHES.iter().find(|(name, _)| *name == only).map(|(_, feature)| *feature)
}

/// Whether `only` names a group.
#[must_use]
pub fn is_group(only: &str) -> bool {
    GROUPS.iter().any(|(name, _)| *name == only)
}

/// Whether a run that is limited to `only` has this subject of this path.
#[must_use]
pub fn selects(only: &str, path: &str, subject: &str) -> bool {
    if let Some((_, members)) = GROUPS.iter().find(|(name, _)| *name == only) {
        return members.iter().any(|member| selects(member, path, subject));
    }
    match only.split_once('/') {
        Some((of, begins)) => of == path && subject.starts_with(begins),
        None => only == path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_a_subject_and_a_group_select_what_they_name() {
        assert!(selects("span", "span", "fastrace") && !selects("span", "span_2fields", "fastrace"));
        assert!(selects("span/fast", "span", "fastrace") && !selects("span/fast", "span", "puffin"));
        assert!(is_group("bridges") && is_group("middleware") && !is_group("span"));
        assert!(selects("bridges", "span", "throughline (tracing)"));
        assert!(is_group("throughput") && selects("throughput", "export_grpc", "limit"));
        assert_eq!((feature_of("profile"), feature_of("span")), (Some("profile-peers"), None));
        assert!(!selects("bridges", "span", "fastrace") && !selects("bridges", "encode", "throughline"));
    }
}
