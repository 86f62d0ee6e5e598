//! The terminal exporter: shows traces as indented trees, with logs and losses where they happened, and
//! metrics as a table.

mod draw;
mod exporter;
mod metrics;
mod tree;
mod units;

pub use exporter::Terminal;
pub use metrics::write_metrics;
pub use tree::{LossNote, Tree};
pub use units::{Nanoseconds, TimeOfDay};

use anstyle::{AnsiColor, Style as Ansi};
use std::io::IsTerminal;

/// Whether output is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether ANSI colours are written.
    pub color: bool,
}

impl Style {
    /// Without colours.
    pub const PLAIN: Style = Style { color: false };
    /// With colours.
    pub const COLOR: Style = Style { color: true };

    /// With colours if `out` is a terminal and `NO_COLOR` is unset or empty, see <https://no-color.org>.
    pub fn of(out: &impl IsTerminal) -> Style {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Style { color: out.is_terminal() && !refused }
    }

    /// Shows `text` in the style `ansi`, if colours are on.
    fn paint<T: std::fmt::Display>(self, ansi: Ansi, text: T) -> Painted<T> {
        Painted { ansi: if self.color { ansi } else { Ansi::new() }, text }
    }
}

const DIM: Ansi = Ansi::new().dimmed();
const BOLD: Ansi = Ansi::new().bold();
const RED: Ansi = AnsiColor::Red.on_default();
const YELLOW: Ansi = AnsiColor::Yellow.on_default();
const GREEN: Ansi = AnsiColor::Green.on_default();
const BLUE: Ansi = AnsiColor::Blue.on_default();

struct Painted<T> {
    ansi: Ansi,
    text: T,
}

impl<T: std::fmt::Display> std::fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}{}", self.ansi.render(), self.text, self.ansi.render_reset())
    }
}
