//! The current place as programs outside of the process read it: the record of a thread that OpenTelemetry's OTEP 4947
//! lays down (`oteps/profiles/4947-thread-ctx.md` of its specification). A profiler stops the thread and reads the record.
//!
//! A recorder has one record for its whole life, whose byte `valid` is 1 while the other bytes hold together. Whoever reads
//! it has stopped the thread, so the order of the stores matters only to the compiler.

use super::{Recorder, id_key};
use crate::id::TraceContext;
use crate::place::{REMOTE, is_flagged, is_outside, root_id, span_id};
use crate::ring::Word;
use core::sync::atomic::{
    AtomicU8, AtomicU16, AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst, compiler_fence,
};

/// The ids of the span that is current on a thread. The first 28 bytes are what OTEP 4947 lays down.
#[derive(Debug)]
#[repr(C)]
pub struct OutsideRecord {
    /// The trace's id, in the order of the W3C.
    trace_id: [AtomicU64; 2],
    span_id: AtomicU64,
    valid: AtomicU8,
    /// W3C flags.
    flags: AtomicU8,
    /// Bytes of attributes, of which there are none.
    attributes: AtomicU16,
    /// Whether the record is being written. A signal handler that interrupts that leaves the record alone: it ends in the
    /// place in which it began.
    busy: AtomicU8,
    /// The root word that the trace's id belongs to; 0 for none.
    root: AtomicUsize,
}

impl OutsideRecord {
    pub(super) const fn new() -> OutsideRecord {
        OutsideRecord {
            trace_id: [const { AtomicU64::new(0) }; 2],
            span_id: AtomicU64::new(0),
            valid: AtomicU8::new(0),
            flags: AtomicU8::new(0),
            attributes: AtomicU16::new(0),
            busy: AtomicU8::new(0),
            root: AtomicUsize::new(0),
        }
    }

    /// Writes the place with this span word, which the recorder has just made current. A call, because the stores would take
    /// much room at each callsite.
    #[inline(never)]
    pub(super) fn show(&self, recorder: &Recorder, span: Word) {
        if self.busy.load(Relaxed) != 0 {
            return;
        }
        self.busy.store(1, Relaxed);
        compiler_fence(SeqCst);
        self.valid.store(0, Relaxed);
        compiler_fence(SeqCst);
        if !is_outside(span) {
            let is_written = self.write(recorder, span);
            compiler_fence(SeqCst);
            self.valid.store(is_written as u8, Relaxed);
        }
        compiler_fence(SeqCst);
        self.busy.store(0, Relaxed);
    }

    #[inline(always)]
    fn write(&self, recorder: &Recorder, span: Word) -> bool {
        let root = recorder.place().1;
        if root == 0 || root & REMOTE != 0 {
            return self.write_remote(recorder);
        }
        let key = id_key();
        if root != self.root.load(Relaxed) {
            self.write_trace(&key.trace_id(root_id(root) as u64).to_bytes());
            self.flags.store(is_flagged(root) as u8, Relaxed);
            self.root.store(root, Relaxed);
        }
        self.span_id.store(u64::from_ne_bytes(key.span_id(span_id(span, root) as u64).to_bytes()), Relaxed);
        true
    }

    /// A place below a remote parent, whose ids are not derived from its own.
    #[cold]
    #[inline(never)]
    fn write_remote(&self, recorder: &Recorder) -> bool {
        self.root.store(0, Relaxed);
        let Some(TraceContext { trace_id, span_id, flags }) = recorder.trace_context() else { return false };
        self.write_trace(&trace_id.to_bytes());
        self.span_id.store(u64::from_ne_bytes(span_id.to_bytes()), Relaxed);
        self.flags.store(flags, Relaxed);
        true
    }

    fn write_trace(&self, bytes: &[u8; 16]) {
        for (word, bytes) in self.trace_id.iter().zip(bytes.as_chunks().0) {
            word.store(u64::from_ne_bytes(*bytes), Relaxed);
        }
    }
}

impl Recorder {
    /// The record for programs outside of the process, of the thread that has this recorder. For adapters.
    #[doc(hidden)]
    pub fn outside_record(&self) -> &OutsideRecord {
        &self.thread.outside
    }
}

#[cfg(test)]
mod tests {
    use super::OutsideRecord;
    use core::mem::offset_of;

    #[test]
    fn the_record_is_laid_out_as_the_otep_says() {
        assert_eq!(
            [
                offset_of!(OutsideRecord, trace_id),
                offset_of!(OutsideRecord, span_id),
                offset_of!(OutsideRecord, valid),
                offset_of!(OutsideRecord, flags),
                offset_of!(OutsideRecord, attributes),
            ],
            [0, 16, 24, 25, 26]
        );
        assert_eq!(offset_of!(OutsideRecord, busy), 28);
    }
}
