//! What stands between a callsite and the recorder: the run-time level, and whether there is a recorder.

use super::Recorder;
use crate::Level;
use crate::callsite::CallsiteId;

impl CallsiteId {
    /// The recorder, if there is one and the run-time level lets the callsite through. Callsites that have a state of their own have been asked already.
    #[inline(always)]
    pub(crate) fn recorder(self) -> Option<&'static Recorder> {
        #[cfg(not(registered_callsites))]
        return super::gate::get(self.level);
        #[cfg(registered_callsites)]
        super::get_to_record()
    }
}

/// Whether a record of this callsite would be made now; what `enabled!` asks.
#[doc(hidden)]
#[inline]
pub fn is_enabled(callsite: Option<CallsiteId>) -> bool {
    callsite.is_some_and(|callsite| callsite.recorder().is_some())
}

/// Records from now on only what is at `level` or above; `None` turns spans and events off. Metrics go on.
/// Cost: some ten stores on firmware; on a server, a walk over the callsites seen so far.
pub fn set_min_level(level: Option<Level>) {
    crate::level::set_min(level);
    #[cfg(registered_callsites)]
    crate::callsite::registry::refilter();
    #[cfg(not(registered_callsites))]
    super::gate::set();
}
