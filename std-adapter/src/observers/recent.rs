//! The records of the last moments, for actions that write them to a file: a flight recorder.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use throughline_export::OwnedRecords;
use throughline_export::view::{LogView, SpanView};

/// Bytes of records that are kept and forgotten together.
const CHUNK: usize = 64 * 1024;

/// Keeps spans and events, up to a number of bytes.
pub(super) struct Recent {
    most: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    whole: VecDeque<Arc<OwnedRecords>>,
    open: OwnedRecords,
}

impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recent").field("most", &self.most).finish_non_exhaustive()
    }
}

impl Recent {
    /// Keeps about so many bytes; none for 0.
    pub(super) fn new(most: usize) -> Recent {
        Recent { most, kept: Mutex::default() }
    }

    pub(super) fn keeps(&self) -> bool {
        self.most > 0
    }

    pub(super) fn span(&self, span: &SpanView<'_>) {
        self.keep(|open| open.span(span));
    }

    pub(super) fn log(&self, log: &LogView<'_>) {
        self.keep(|open| open.log(log));
    }

    fn keep(&self, copy: impl FnOnce(&mut OwnedRecords)) {
        if self.most == 0 {
            return;
        }
        let mut kept = self.lock();
        copy(&mut kept.open);
        if kept.open.size() >= CHUNK.min(self.most) {
            kept.close();
            while kept.whole.iter().map(|chunk| chunk.size()).sum::<usize>() > self.most {
                kept.whole.pop_front();
            }
        }
    }

    /// What is kept now, oldest first.
    pub(super) fn take(&self) -> Vec<Arc<OwnedRecords>> {
        let mut kept = self.lock();
        kept.close();
        kept.whole.iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn close(&mut self) {
        if !self.open.is_empty() {
            self.whole.push_back(Arc::new(std::mem::take(&mut self.open)));
        }
    }
}
