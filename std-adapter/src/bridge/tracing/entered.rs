//! The spans of `tracing` that this thread is in. `tracing` enters and leaves them by calls, so the guards are kept
//! here.

use std::cell::RefCell;
use throughline::adapter::bridge::BusySince;
use throughline::{Context, ContextGuard};
use tracing::span::Id;

struct Entered {
    id: u64,
    /// Where the span is. Ids alone are not enough, because each subscriber gives its own.
    place: Context,
    /// `None` if the span was already entered on this thread, so that its busy time is not counted twice.
    since: Option<BusySince>,
    /// `None` if the span did not become current again.
    #[allow(dead_code, reason = "its drop leaves the span")]
    guard: Option<ContextGuard>,
}

thread_local! {
    static ENTERED: RefCell<Vec<Entered>> = const { RefCell::new(Vec::new()) };
}

/// Makes the span current on this thread. A span that was already entered does not become current again, as `tracing` has
/// it, unless what is current now is no span of the same subscriber: `place_of` finds the place of one that is.
pub(super) fn enter(
    id: &Id,
    place: Context,
    since: BusySince,
    place_of: impl FnOnce(&Id) -> Option<Context>,
) {
    // A thread that is being torn down enters nothing.
    let _ = ENTERED.try_with(|entered| {
        let mut entered = entered.borrow_mut();
        let id = id.into_u64();
        let is_again = entered.iter().any(|entered| entered.id == id && entered.place == place);
        let stays = is_again
            && entered.last().is_some_and(|last| {
                last.place == Context::current() && place_of(&Id::from_u64(last.id)) == Some(last.place)
            });
        let guard = (!stays).then(|| place.enter());
        entered.push(Entered { id, place, since: (!is_again).then_some(since), guard });
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
