//! The spans of `tracing` that this thread is in. `tracing` enters and leaves them by calls, so the guards are kept
//! here.

use std::cell::RefCell;
use throughline::adapter::bridge::BusySince;
use throughline::{ContextGuard, DetachedSpan};
use tracing::span::Id;

struct Entered {
    id: u64,
    /// `None` if the span was already entered on this thread, so that its busy time is not counted twice.
    since: Option<BusySince>,
    #[allow(dead_code, reason = "its drop leaves the span")]
    guard: ContextGuard,
}

thread_local! {
    static ENTERED: RefCell<Vec<Entered>> = const { RefCell::new(Vec::new()) };
}

/// Makes the span current on this thread.
pub(super) fn enter(id: &Id, span: &DetachedSpan) {
    // A thread that is being torn down enters nothing.
    let _ = ENTERED.try_with(|entered| {
        let mut entered = entered.borrow_mut();
        let id = id.into_u64();
        let is_again = entered.iter().any(|entered| entered.id == id);
        let guard = span.context().enter();
        let since = (!is_again).then(|| span.busy_since());
        entered.push(Entered { id, since, guard });
    });
}

/// Leaves the span on this thread, in whatever order spans are left. Returns when it was entered, if its busy time
/// ends here.
pub(super) fn exit(id: &Id) -> Option<BusySince> {
    let left = ENTERED.try_with(|entered| {
        let mut entered = entered.borrow_mut();
        let at = entered.iter().rposition(|entered| entered.id == id.into_u64())?;
        Some(entered.remove(at))
    });
    left.ok().flatten()?.since
}
