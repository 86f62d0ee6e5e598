//! Parts of a [`Config`](super::Config) that have no better place.

use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use throughline::sampler::Sampler;
use throughline_export::Exporter;
use throughline_export::otlp::ClientConfig;
use throughline_export::terminal::Style;

/// Limit of the queue of an exporter.
#[derive(Clone, Copy, Debug)]
pub(super) enum Queue {
    Batches(usize),
    /// Each record is assumed to take 1 KiB.
    Records(usize),
}

/// What differs for batches of logs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LogBatches {
    pub(super) interval: Option<Duration>,
    pub(super) bytes: Option<usize>,
    /// In records.
    pub(super) queue: Option<usize>,
}

/// An exporter of the program's own, kept here until `init` takes it.
#[derive(Clone)]
pub(crate) struct Given {
    pub(super) name: String,
    pub(super) exporter: Arc<Mutex<Option<Box<dyn Exporter>>>>,
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given").field("name", &self.name).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Otlp {
    /// The keys of files and the environment decide.
    Keys,
    Off,
    To(ClientConfig),
}

/// Where the terminal exporter writes.
#[derive(Clone)]
pub(crate) struct TerminalOut {
    pub(crate) out: Arc<Mutex<dyn Write + Send>>,
    pub(crate) style: Style,
}

impl fmt::Debug for TerminalOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TerminalOut").field("style", &self.style).finish_non_exhaustive()
    }
}

/// A sampler that lives as long as the process.
#[derive(Clone, Copy)]
pub(crate) struct SharedSampler(pub(crate) &'static &'static dyn Sampler);

impl fmt::Debug for SharedSampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sampler")
    }
}
