//! The terminal as an exporter: draws traces when they are complete, and the metrics at the end.

use super::{LossNote, Style, Tree, write_metrics};
use crate::ledger::DropReason;
use crate::log::Filter;
use crate::view::{LogView, LossView, PointView, SpanView};
use crate::{Deadline, ExportError, Exporter, OwnedRecords};
use std::io::{self, Write};
use std::time::Duration;

/// How long a trace without new records is held back.
const PATIENCE: Duration = Duration::from_secs(5);
/// Prefix of this library's own metrics. They are meant for dashboards and are left out of the table.
const OWN: &str = "throughline.";

/// Draws on a terminal or into a file.
pub struct Terminal {
    tree: Tree,
    out: Box<dyn Write + Send>,
    style: Style,
    metrics: OwnedRecords,
    filter: Filter,
}

impl Terminal {
    /// Draws to `out`. At most `held` spans and log records of incomplete traces are held back.
    pub fn new(out: Box<dyn Write + Send>, style: Style, held: usize) -> Terminal {
        Terminal {
            tree: Tree::new(style, held),
            out,
            style,
            metrics: OwnedRecords::default(),
            filter: Filter::all(),
        }
    }

    /// Draws only the log records that `filter` takes. The default is all of them.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Terminal {
        self.filter = filter;
        self
    }

    /// Draws with `draw`. Records that left the tree count as delivered if everything was written, and as
    /// lost otherwise.
    fn draw(
        &mut self,
        draw: impl FnOnce(&mut Tree, &mut Box<dyn Write + Send>) -> io::Result<()>,
    ) -> Result<(), ExportError> {
        let before = self.tree.held();
        let written = draw(&mut self.tree, &mut self.out).and_then(|()| self.out.flush());
        let drawn = (before - self.tree.held()) as u64;
        written.map_err(|error| {
            let message = format!("cannot be written to: {error}; check where standard error goes");
            ExportError::new(DropReason::WriteError, drawn, message)
        })
    }
}

impl Exporter for Terminal {
    fn log_filter(&self) -> Filter {
        self.filter.clone()
    }

    fn span(&mut self, span: &SpanView<'_>) {
        self.tree.span(span);
    }

    fn log(&mut self, log: &LogView<'_>) {
        self.tree.log(log);
    }

    fn points(&mut self, points: &[PointView<'_>]) {
        self.metrics.points(points);
    }

    fn losses(&mut self, losses: &[LossView<'_>]) {
        for loss in losses {
            let (time_unix_ns, count, what) = (loss.time_unix_ns, loss.count, loss.what.into());
            self.tree.loss(LossNote { time_unix_ns, count, what });
        }
    }

    fn flush(&mut self, _deadline: &Deadline) -> Result<(), ExportError> {
        self.draw(|tree, out| tree.write_settled(PATIENCE, out))
    }

    fn finish(&mut self, _deadline: &Deadline) -> Result<(), ExportError> {
        let drawn = self.draw(|tree, out| tree.write_all(out));
        let (style, mut table) = (self.style, Ok(()));
        self.metrics.with_points(|points| {
            let own = |point: &&PointView<'_>| point.name.starts_with(OWN);
            let theirs = points.iter().filter(|point| !own(point)).cloned();
            table = write_metrics(&mut self.out, style, theirs).and_then(|()| self.out.flush());
        });
        drawn?;
        table.map_err(|error| ExportError::new(DropReason::WriteError, 0, error.to_string()))
    }

    fn held(&self) -> u64 {
        self.tree.held() as u64
    }
}
