//! Whether this library delivers what it records.

use crate::health::prepared::Deliveries;
use crate::health::{Check, Finding};
use std::sync::Arc;

/// A check of the exporters and of the losses since its last run.
pub(in crate::health) fn telemetry(deliveries: Arc<Deliveries>) -> Check {
    let mut lost_before = 0;
    let check = Check::new("telemetry", move || {
        let Some((cells, healths)) = deliveries.get() else { return Finding::healthy("") };
        let ledger = cells.read();
        let dropped = ledger.hops().flat_map(|(_, hop)| &hop.dropped);
        let lost: u64 = dropped.filter(|(reason, _)| reason.is_loss()).map(|(_, n)| n).sum();
        let new = lost.saturating_sub(std::mem::replace(&mut lost_before, lost));
        let error = healths.iter().find_map(|health| health.last_error());
        let finding = match (error, ledger.losses()) {
            (Some(error), _) => Finding::degraded(error),
            (None, Some(losses)) if new > 0 => {
                Finding::degraded(format!("{new} records were lost since the last check; in all: {losses}"))
            }
            _ => Finding::healthy("everything is delivered"),
        };
        finding.detail("recorded", ledger.ring.input).detail("lost", lost)
    });
    check.optional()
}
