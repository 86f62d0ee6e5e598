//! Leads firmware's spans and events to the recorder: one load and one branch tell whether there is a
//! recorder and whether the run-time level lets the callsite through.

use super::Recorder;
use crate::Level;
use core::sync::atomic::{AtomicPtr, Ordering};

/// For each level the installed recorder, or null while the level is off.
static GATES: [AtomicPtr<Recorder>; LEVELS] = [const { AtomicPtr::new(core::ptr::null_mut()) }; LEVELS];
const LEVELS: usize = Level::Error as usize - Level::Trace as usize + 1;

/// The recorder for callsites of this level.
#[inline(always)]
pub(crate) fn get(level: u8) -> Option<&'static Recorder> {
    // Callsites have no other levels.
    let gate = GATES.get(usize::from(level.wrapping_sub(Level::Trace as u8)))?;
    // The code that follows accesses the recorder through this pointer, which on Arm orders the accesses
    // without a barrier.
    #[cfg(target_arch = "arm")]
    let recorder = gate.load(Ordering::Relaxed);
    #[cfg(target_arch = "arm")]
    core::sync::atomic::compiler_fence(Ordering::Acquire);
    #[cfg(not(target_arch = "arm"))]
    let recorder = gate.load(Ordering::Acquire);
    // SAFETY: only `set` stores this pointer, and it stores null or a `&'static Recorder`.
    let recorder = unsafe { recorder.cast_const().as_ref() };
    if recorder.is_none() {
        core::hint::cold_path();
    }
    recorder
}

/// Sets the gates from the recorder and the run-time level. Both are read again for each gate, so a change
/// that another context makes at the same time is not lost.
pub(crate) fn set() {
    for (gate, level) in GATES.iter().zip(Level::Trace as u8..) {
        let is_on = level >= crate::level::min();
        let recorder = super::installed().filter(|_| is_on);
        gate.store(
            recorder.map_or(core::ptr::null_mut(), |it| core::ptr::from_ref(it).cast_mut()),
            Ordering::Release,
        );
    }
}
