//! Where decoded things go; each output is one file.

pub(crate) mod json;
pub(crate) mod otlp;
pub(crate) mod tree;

use throughline_decode::trace::Assembled;
use throughline_decode::{Context, Item};

use crate::error::CliError;
use crate::summary::Summary;

/// A consumer of everything decoded.
pub(crate) trait Output<'elf> {
    /// An item as it came. Spans, events, fields and losses come again as [`Output::assembled`].
    fn item(&mut self, context: &Context, item: &Item<'elf, '_>) -> Result<(), CliError>;
    /// A trace, or what belongs to none.
    fn assembled(&mut self, assembled: &Assembled<'elf>) -> Result<(), CliError>;
    /// No more bytes are at hand just now: shows what there is.
    fn pause(&mut self) -> Result<(), CliError>;
    /// The end; the context is that of the last item.
    fn finish(&mut self, context: &Context, summary: &Summary) -> Result<(), CliError>;
}
