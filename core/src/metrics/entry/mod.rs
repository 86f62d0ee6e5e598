//! A metric's place among all of the program: in a list that it enters on first use, or, on a 32-bit microcontroller, in a table that the linker makes.

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

/// Gives bytes of a series to a sink.
type GiveBytes = fn(&Series, &mut dyn FnMut(&[u8]));

/// What only some metrics need. The entry points to it, so that firmware without such a metric does not link the code.
#[derive(Debug)]
pub(crate) struct Special {
    /// Whether a series has anything to show.
    pub(super) is_in_use: fn(&Series) -> bool,
    /// Gives the values of the run-time labels to a sink: how many there are, then each as a length byte and its bytes.
    pub(super) labels: GiveBytes,
    /// Gives the bytes of the float that a gauge holds or a counter of fractions adds up to, the lowest first.
    pub(super) float: GiveBytes,
}

static FAMILY: Special =
    Special { is_in_use: Series::is_in_use, labels: Series::give_labels, float: |_, _| {} };
/// Of the callsites of one gauge only one has cells with something in them.
static GAUGE: Special =
    Special { is_in_use: |series| !series.is_away(), labels: |_, _| {}, float: Series::give_cell };
static GAUGE_FAMILY: Special = Special {
    is_in_use: |series| !series.is_away() && series.is_in_use(),
    labels: Series::give_labels,
    float: Series::give_cell,
};
static FLOAT_COUNTER: Special =
    Special { is_in_use: |_| true, labels: |_, _| {}, float: Series::give_float_sum };

/// Says what a metric needs beside the ordinary.
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
