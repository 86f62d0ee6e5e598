//! From ring to decoder: whatever the link does, what a flusher sends decodes to what was recorded, and the
//! ledger balances.

mod budgets;
mod harness;
mod links;
mod metrics;
mod samples;
mod sizes;
mod values;
