//! The way of firmware's spans and events to the recorder: one load and one branch answer whether there is a recorder and whether the run-time level
//! lets the callsite through.

use super::Recorder;
use crate::Level;
use core::sync::atomic::{AtomicPtr, Ordering};

/// For each level the installed recorder, or null where the level is off.
static GATES: [AtomicPtr<Recorder>; LEVELS] = [const { AtomicPtr::new(core::ptr::null_mut()) }; LEVELS];
const LEVELS: usize = Level::Error as usize - Level::Trace as usize + 1;

/// The recorder for what has this level.
#[inline(always)]
pub(crate) fn get(level: u8) -> Option<&'static Recorder> {
    // Callsites have no other levels.
    let gate = GATES.get(usize::from(level.wrapping_sub(Level::Trace as u8)))?;
    // What follows goes by way of the pointer, which on Arm is order enough.
    #[cfg(target_arch = "arm")]
    let recorder = gate.load(Ordering::Relaxed);
    #[cfg(target_arch = "arm")]
    core::sync::atomic::compiler_fence(Ordering::Acquire);
    #[cfg(not(target_arch = "arm"))]
    let recorder = gate.load(Ordering::Acquire);
    // SAFETY: only `set` stores here, and it stores null or a `&'static Recorder`.
    let recorder = unsafe { recorder.cast_const().as_ref() };
    if recorder.is_none() {
        core::hint::cold_path();
    }
    recorder
}

/// Opens and closes the gates as recorder and run-time level are now. A context that changes either while another does the same is not
/// overruled, as both are read again for each gate.
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
