//! The outputs for decoded records, each in its own file.

pub(crate) mod json;
pub(crate) mod otlp;
pub(crate) mod profile;
pub(crate) mod tree;

use throughline_decode::trace::Assembled;
use throughline_decode::{Context, Item};

use crate::error::CliError;
use crate::summary::Summary;

/// An output, which gets everything decoded.
pub(crate) trait Output<'elf> {
    /// Takes an item in stream order. Spans, events, fields and losses come again in [`Output::assembled`].
    fn item(&mut self, context: &Context, item: &Item<'elf, '_>) -> Result<(), CliError>;
    /// Takes a trace, or an event or a loss outside of traces.
    fn assembled(&mut self, assembled: &Assembled<'elf>) -> Result<(), CliError>;
    /// Shows everything that is there, because no more bytes are available at the moment.
    fn pause(&mut self) -> Result<(), CliError>;
    /// Ends the output. The context is that of the last item.
    fn finish(&mut self, context: &Context, summary: &Summary) -> Result<(), CliError>;
}
