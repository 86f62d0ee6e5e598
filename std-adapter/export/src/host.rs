//! What the host program of an exporter provides.

use crate::view::PointView;
use crate::{Resource, Spawn};
use std::fmt;
use std::sync::Arc;

/// Passed to an exporter before its first record, in [`Exporter::begin`](crate::Exporter::begin).
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Host<'h> {
    /// What is observed.
    pub resource: &'h Resource,
    /// Reads the current values of all metrics; `None` if that is not possible, for example for a device that
    /// sends them at its own times.
    pub metrics: Option<&'h ReadMetrics>,
    /// Starts a thread with this name that records nothing.
    pub spawn: &'h Spawn,
}

impl<'h> Host<'h> {
    /// A host that cannot read metrics on demand.
    pub fn new(resource: &'h Resource, spawn: &'h Spawn) -> Host<'h> {
        Host { resource, metrics: None, spawn }
    }

    /// This host with a way to read metrics on demand.
    #[must_use]
    pub fn with_metrics(self, metrics: &'h ReadMetrics) -> Host<'h> {
        Host { metrics: Some(metrics), ..self }
    }
}

impl fmt::Debug for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("resource", self.resource).finish_non_exhaustive()
    }
}

/// Reads the current values of all metrics of the program, on the calling thread. Cloning it is cheap.
#[derive(Clone)]
pub struct ReadMetrics(Arc<Read>);

type Read = dyn Fn(&mut dyn FnMut(&[PointView<'_>])) + Send + Sync;

impl ReadMetrics {
    /// Reads metrics with `read`, which calls its argument once with all points.
    pub fn new(read: impl Fn(&mut dyn FnMut(&[PointView<'_>])) + Send + Sync + 'static) -> ReadMetrics {
        ReadMetrics(Arc::new(read))
    }

    /// Calls `look` with all points.
    pub fn read(&self, mut look: impl FnMut(&[PointView<'_>])) {
        (self.0)(&mut look);
    }
}

impl fmt::Debug for ReadMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadMetrics").finish_non_exhaustive()
    }
}
