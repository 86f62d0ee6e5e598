//! The conditions between a callsite and the recorder: the run-time level, and whether there is a recorder.

use super::Recorder;
use crate::Level;
use crate::callsite::CallsiteId;

impl CallsiteId {
    /// The recorder, if there is one and the run-time level lets the callsite through. Callsites with their
    /// own state have already checked the level.
    #[inline(always)]
    pub(crate) fn recorder(self) -> Option<&'static Recorder> {
        #[cfg(not(registered_callsites))]
        return super::gate::get(self.level);
        #[cfg(registered_callsites)]
        super::get_to_record()
    }
}

/// Whether a record of this callsite would be made now. `enabled!` calls this.
#[doc(hidden)]
#[inline]
pub fn is_enabled(callsite: Option<CallsiteId>) -> bool {
    callsite.is_some_and(|callsite| callsite.recorder().is_some())
}

/// From now on only spans and events at `level` or above are recorded; `None` turns all of them off. Metrics
/// are not affected. Cost: about ten stores on firmware; on a server a walk over the callsites used so far.
///
/// ```
/// use throughline::{Level, enabled, set_min_level};
/// set_min_level(Some(Level::Warn));
/// assert!(!enabled!(Info));
/// ```
pub fn set_min_level(level: Option<Level>) {
    crate::level::set_min(level);
    #[cfg(registered_callsites)]
    crate::callsite::registry::refilter();
    #[cfg(not(registered_callsites))]
    super::gate::set();
}
