//! Why records are dropped.

/// Why a record was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// A thread's ring was full because the pump was not fast enough. Make rings larger, or record less.
    RingFull,
    /// A thread had no ring, because it was already being torn down.
    NoRecorder,
    /// The contents of a slot were not a valid record.
    Malformed,
    /// Fields of a span whose end never came: it was lost, or is still open at shutdown.
    Unclaimed,
    /// The exporter's queue was full: the collector is slower than the program, or it does not answer.
    QueueFull,
    /// The collector took the request but not this record (a partial success).
    Rejected,
    /// The collector refused the request.
    Refused,
    /// The collector could not be reached in time.
    Unreachable,
    /// The deadline of the shutdown passed first.
    Shutdown,
    /// Writing to the terminal or to a file failed.
    WriteError,
    /// The record was made after the guard had ended recording.
    Ended,
    /// The thread that was handling the record panicked.
    ThreadDied,
    /// The sampler decided not to record its trace.
    SampledOut,
    /// A span of a remote trace whose ids are not known, because the record that named the remote parent was
    /// lost. OTLP has no span without a trace, and none is made up. Events of such a trace are delivered
    /// without one, marked with [`UNKNOWN_PARENT`](crate::view::UNKNOWN_PARENT).
    UnknownParent,
    /// A log record beyond `Config::log_rate_limit`.
    RateLimited,
    /// A signal handler made the record while its thread was writing another one.
    Reentrant,
    /// It could not be delivered, and the spool held its limit already.
    SpoolFull,
    /// It could not be delivered, and the spool could not be written: the disk is full, say.
    SpoolError,
    /// What the spool holds is not what was written to it.
    SpoolCorrupt,
    /// A thread had no ring, because as many threads recorded as `Config::max_threads` allows.
    TooManyThreads,
    /// A thread had no ring, because the system gave no memory for it. Make rings smaller (`Config::ring_slots`).
    NoMemory,
    /// A span of a trace that had not ended found no room in the sampler's buffer, and the decision of its beginning
    /// was against it. Whether an error would have come is not known. Make the buffer larger.
    SamplerFull,
    /// The same after it had waited for as long as spans may wait for the end of their trace.
    SamplerExpired,
    /// An alert of which nobody was told because of a silence.
    Silenced,
    /// An alert of which nobody was told because another one that fires inhibits it.
    Inhibited,
    /// An alert of which nobody was told because it began in a deploy.
    Deploying,
    /// An alert of which nobody was told because the process had just begun.
    Restarting,
    /// An alert of which nobody was told because it is expected at that time of the week.
    Muted,
    /// A change of an alert of which nobody was told because it comes and goes too often.
    Flapping,
    /// A span got more fields after its beginning than it may have: 128 records of them, beside those whose fields all
    /// came again.
    TooManyFields,
    /// No exporter wants such records, as when `OTEL_TRACES_EXPORTER` is `none`.
    NoExporter,
}

impl DropReason {
    /// Whether records that are dropped for this reason are lost. What is left out as configured, by sampling, rate limits, exporters that are
    /// off and what alerts are held back by, is no loss.
    pub fn is_loss(self) -> bool {
        use DropReason::{
            Deploying, Flapping, Inhibited, Muted, NoExporter, RateLimited, Restarting, SampledOut, Silenced,
        };
        !matches!(
            self,
            SampledOut
                | RateLimited
                | NoExporter
                | Silenced
                | Inhibited
                | Deploying
                | Restarting
                | Muted
                | Flapping
        )
    }

    pub(super) const ALL: [DropReason; 31] = [
        DropReason::RingFull,
        DropReason::NoRecorder,
        DropReason::Malformed,
        DropReason::Unclaimed,
        DropReason::QueueFull,
        DropReason::Rejected,
        DropReason::Refused,
        DropReason::Unreachable,
        DropReason::Shutdown,
        DropReason::WriteError,
        DropReason::Ended,
        DropReason::ThreadDied,
        DropReason::SampledOut,
        DropReason::UnknownParent,
        DropReason::RateLimited,
        DropReason::Reentrant,
        DropReason::SpoolFull,
        DropReason::SpoolError,
        DropReason::SpoolCorrupt,
        DropReason::TooManyThreads,
        DropReason::NoMemory,
        DropReason::SamplerFull,
        DropReason::SamplerExpired,
        DropReason::Silenced,
        DropReason::Inhibited,
        DropReason::Deploying,
        DropReason::Restarting,
        DropReason::Muted,
        DropReason::Flapping,
        DropReason::TooManyFields,
        DropReason::NoExporter,
    ];

    /// The name in the metric `throughline.records`.
    pub const fn as_str(self) -> &'static str {
        match self {
            DropReason::RingFull => "ring_full",
            DropReason::NoRecorder => "no_recorder",
            DropReason::Malformed => "malformed",
            DropReason::Unclaimed => "unclaimed",
            DropReason::QueueFull => "queue_full",
            DropReason::Rejected => "rejected",
            DropReason::Refused => "refused",
            DropReason::Unreachable => "unreachable",
            DropReason::Shutdown => "shutdown",
            DropReason::WriteError => "write_error",
            DropReason::Ended => "ended",
            DropReason::ThreadDied => "thread_died",
            DropReason::SampledOut => "sampled_out",
            DropReason::UnknownParent => "unknown_parent",
            DropReason::RateLimited => "rate_limited",
            DropReason::Reentrant => "reentrant",
            DropReason::SpoolFull => "spool_full",
            DropReason::SpoolError => "spool_error",
            DropReason::SpoolCorrupt => "spool_corrupt",
            DropReason::TooManyThreads => "too_many_threads",
            DropReason::NoMemory => "no_memory",
            DropReason::SamplerFull => "sampler_full",
            DropReason::SamplerExpired => "sampler_expired",
            DropReason::Silenced => "silenced",
            DropReason::Inhibited => "inhibited",
            DropReason::Deploying => "deploying",
            DropReason::Restarting => "restarting",
            DropReason::Muted => "muted",
            DropReason::Flapping => "flapping",
            DropReason::TooManyFields => "too_many_fields",
            DropReason::NoExporter => "no_exporter",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rules of alerts that come with this library are about losses alone.
    #[test]
    fn rules_of_alerts_leave_out_what_is_no_loss() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/deploy");
        for file in ["alerts.yaml", "prometheus/rules.yaml", "kubernetes/prometheus-rule.yaml"] {
            let text = std::fs::read_to_string(folder.join(file)).unwrap();
            let lists: Vec<_> =
                text.split("outcome!~").skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
            assert!(!lists.is_empty(), "{file}");
            for list in lists {
                let list = list.split(',').next().unwrap().trim_matches(['\\', '"']);
                let named: Vec<_> = list.split('|').collect();
                for reason in DropReason::ALL {
                    assert_eq!(
                        named.contains(&reason.as_str()),
                        !reason.is_loss(),
                        "{} in {file}: {list}",
                        reason.as_str()
                    );
                }
            }
        }
    }
}
