//! Writes log records as lines to standard output, to a file, or to any other writer.

use super::{Filter, Format};
use crate::ledger::DropReason;
use crate::view::LogView;
use crate::{Deadline, ExportError, Exporter, Wants};
use std::io::{self, Write};

/// Writes each log record as a line, in a [`Format`], to a writer such as [`std::io::stdout`] or a [`RollingFile`](super::RollingFile).
///
/// Each batch is written at once and flushed. If writing fails, the records that were not completely written
/// are counted as `dropped[write_error]`, and the next batch is still tried. Costs about 1 µs per record.
///
/// ```
/// use throughline_export::log::{Format, Lines, RollingFile};
/// # let folder = std::env::temp_dir().join(format!("throughline-lines-{}", std::process::id()));
/// # let path = folder.join("shop.log");
/// let file = RollingFile::new(&path).max_bytes(100 << 20).keep(7).open()?;
/// let lines = Lines::new(file, Format::Json).filter("info,shop::db=debug".parse()?);
/// // let config = throughline_std::Config::new("shop").exporter("log", lines);
/// # drop(lines);
/// # std::fs::remove_dir_all(folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Lines<W> {
    out: W,
    format: Format,
    filter: Filter,
    batch: LineBatch,
}

/// Lines that are to be written together.
#[derive(Debug, Default)]
pub(crate) struct LineBatch {
    text: String,
    /// Whether an error has cut the last line, which must then be ended before the next one begins.
    torn: bool,
}

impl<W: Write + Send> Lines<W> {
    /// Writes to `out`.
    pub fn new(out: W, format: Format) -> Lines<W> {
        Lines { out, format, filter: Filter::all(), batch: LineBatch::default() }
    }

    /// Takes only the records that `filter` takes. The default is all of them.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Lines<W> {
        self.filter = filter;
        self
    }
}

impl LineBatch {
    /// Adds a line, which is given without its end.
    pub(crate) fn push(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Writes the lines and forgets them. An error states how many of them are not complete in the output.
    pub(crate) fn write(&mut self, out: &mut impl Write) -> Result<(), (io::Error, u64)> {
        let written = self.try_write(out);
        self.text.clear();
        written
    }

    fn try_write(&mut self, out: &mut impl Write) -> Result<(), (io::Error, u64)> {
        let mut rest = self.text.as_bytes();
        while !rest.is_empty() {
            if self.torn {
                out.write_all(b"\n").map_err(|error| (error, lines(rest)))?;
                self.torn = false;
            }
            match out.write(rest) {
                Ok(0) => return Err((io::ErrorKind::WriteZero.into(), lines(rest))),
                Ok(n) => rest = &rest[n..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let written = self.text.len() - rest.len();
                    self.torn = written > 0 && self.text.as_bytes()[written - 1] != b'\n';
                    return Err((error, lines(rest)));
                }
            }
        }
        out.flush().map_err(|error| (error, 0))
    }
}

fn lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

impl<W: Write + Send> Exporter for Lines<W> {
    fn wants(&self) -> Wants {
        Wants { logs: true, ..Wants::NOTHING }
    }

    fn log_filter(&self) -> Filter {
        self.filter.clone()
    }

    fn log(&mut self, log: &LogView<'_>) {
        self.format.push(&mut self.batch.text, log);
    }

    fn flush(&mut self, _deadline: &Deadline) -> Result<(), ExportError> {
        self.batch.write(&mut self.out).map_err(|(error, lost)| {
            let message =
                format!("log lines cannot be written: {error}; check the disk, and where the output goes");
            ExportError::new(DropReason::WriteError, lost, message)
        })
    }
}
