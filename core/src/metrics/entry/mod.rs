//! How readers find all metrics of the program: through a list that each metric enters on first use or, on a
//! 32-bit microcontroller, through a table that the linker makes.

#[cfg(registered_callsites)]
mod registered;
#[cfg(not(registered_callsites))]
mod section;

#[cfg(registered_callsites)]
pub use registered::Entry;
#[cfg(not(registered_callsites))]
pub use section::Entry;

use super::read::Series;
use super::series::SeriesKey;
use crate::callsite::Kind;

/// Passes bytes of a series to a sink.
type GiveBytes = fn(&Series, &mut dyn FnMut(&[u8]));

/// Functions that only some metrics need. The entry points to them, so that firmware without such metrics
/// does not link the code.
#[derive(Debug)]
pub(crate) struct Special {
    /// Whether the series has a value to report.
    pub(super) is_in_use: fn(&Series) -> bool,
    /// Passes the values of the run-time labels to a sink: their number, then each as a length byte and its
    /// bytes.
    pub(super) labels: GiveBytes,
    /// Passes the bytes of a gauge's float, or of a counter's sum of fractions, to a sink, the lowest first.
    pub(super) float: GiveBytes,
}

static FAMILY: Special =
    Special { is_in_use: Series::is_in_use, labels: Series::give_labels, float: |_, _| {} };
/// Of all callsites of one gauge, only the home has cells in use.
static GAUGE: Special =
    Special { is_in_use: |series| !series.has_home_elsewhere(), labels: |_, _| {}, float: Series::give_cell };
static GAUGE_FAMILY: Special = Special {
    is_in_use: |series| !series.has_home_elsewhere() && series.is_in_use(),
    labels: Series::give_labels,
    float: Series::give_cell,
};
static FLOAT_COUNTER: Special =
    Special { is_in_use: |_| true, labels: |_, _| {}, float: Series::give_float_sum };

/// The functions that a metric needs beyond the common ones.
const fn special(keys: &[SeriesKey], kind: u8, param: u8) -> Option<&'static Special> {
    const COUNTER: u8 = Kind::Counter as u8;
    const GAUGE_KIND: u8 = Kind::Gauge as u8;
    match kind {
        GAUGE_KIND if keys.is_empty() => Some(&GAUGE),
        GAUGE_KIND => Some(&GAUGE_FAMILY),
        _ if !keys.is_empty() => Some(&FAMILY),
        COUNTER if param != 0 => Some(&FLOAT_COUNTER),
        _ => None,
    }
}
