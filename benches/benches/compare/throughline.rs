//! Throughline itself: one function per path.
//!
//! An empty function measures nothing, and its line is absent from the table.

use crate::harness::Bench;

/// Reads the clock a record is stamped with.
pub(crate) fn clock_read(_bench: &mut Bench<'_>) {}

/// Traces of a root span and its children, no fields, drained by the reader between batches.
pub(crate) fn span(_bench: &mut Bench<'_>) {}

/// As [`span`], each child with `bytes` and `attempt`.
pub(crate) fn span_2fields(_bench: &mut Bench<'_>) {}

/// An event with `bytes` and `attempt`.
pub(crate) fn event_2fields(_bench: &mut Bench<'_>) {}

/// An event with two fields at a callsite that is switched off.
pub(crate) fn disabled(_bench: &mut Bench<'_>) {}

/// As [`span`], in a trace the sampler decided against.
pub(crate) fn sampled_out(_bench: &mut Bench<'_>) {}

/// Adds one to a counter whose labels are constants.
pub(crate) fn counter(_bench: &mut Bench<'_>) {}

/// Adds one to the series of a label value known only at run time.
pub(crate) fn counter_family(_bench: &mut Bench<'_>) {}

/// Records a value; count, sum and bucket.
pub(crate) fn histogram(_bench: &mut Bench<'_>) {}

/// Pushes and pops a record of 32 bytes.
pub(crate) fn ring(_bench: &mut Bench<'_>) {}

/// Encodes drained spans with four attributes as an OTLP request.
pub(crate) fn encode(_bench: &mut Bench<'_>) {}
