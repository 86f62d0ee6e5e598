//! What the program that runs an exporter has to offer it.

use crate::view::PointView;
use crate::{Resource, Spawn};
use std::fmt;
use std::sync::Arc;

/// What an exporter is given before its first record, in [`Exporter::begin`](crate::Exporter::begin).
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Host<'h> {
    /// What is being observed.
    pub resource: &'h Resource,
    /// Reads all metrics as they are when it is called; `None` where that cannot be done, as with a device that sends them when it will.
    pub metrics: Option<&'h ReadMetrics>,
    /// Starts a thread of this name, which records nothing.
    pub spawn: &'h Spawn,
}

impl<'h> Host<'h> {
    /// A host that reads no metrics on demand.
    pub fn new(resource: &'h Resource, spawn: &'h Spawn) -> Host<'h> {
        Host { resource, metrics: None, spawn }
    }

    /// The same with a way to read metrics on demand.
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

/// Reads all metrics of the program as they are now, on the thread that asks. Cheap to clone.
#[derive(Clone)]
pub struct ReadMetrics(Arc<Read>);

type Read = dyn Fn(&mut dyn FnMut(&[PointView<'_>])) + Send + Sync;

impl ReadMetrics {
    /// Metrics are read by `read`, which calls what it is given with all points, once.
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
