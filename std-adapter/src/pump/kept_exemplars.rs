//! The last exemplars of each histogram: one for each power of two, so that slow and fast requests both have
//! theirs.

use crate::propagation::correlation;
use std::collections::HashMap;
use throughline::adapter::metrics::Series;
use throughline::adapter::ring::Word;
use throughline_export::Mask;
use throughline_export::view::ExemplarView;

/// Most exemplars of a series. The oldest makes room.
const MOST: usize = 16;

/// The exemplars of each series, by the place of its cells, with the power of two of each. Values are integers, in
/// steps of the histogram.
#[derive(Debug, Default)]
pub(super) struct Kept(HashMap<usize, Vec<(u32, ExemplarView)>>);

impl Kept {
    /// Takes what threads have put since the last call. `unix_ns` maps their ticks; secret fields are replaced.
    pub(super) fn take(&mut self, unix_ns: impl Fn(Word) -> u64, mask: &mut Mask) {
        #[cfg(target_has_atomic = "64")]
        throughline::adapter::metrics::take_exemplars(|exemplar| {
            let power = u64::BITS - exemplar.value.saturating_sub(1).leading_zeros();
            let view = ExemplarView {
                value: exemplar.value as f64,
                time_unix_ns: unix_ns(exemplar.ticks),
                trace_id: exemplar.trace_id,
                span_id: exemplar.span_id,
                fields: fields_of(exemplar.correlation, mask),
            };
            keep(self.0.entry(exemplar.first_cell).or_default(), power, view);
        });
        #[cfg(not(target_has_atomic = "64"))]
        let _ = (unix_ns, mask);
    }

    /// Appends the exemplars of a series to `out`, and asks for further ones.
    pub(super) fn show(&self, series: &Series, out: &mut Vec<ExemplarView>) {
        #[cfg(target_has_atomic = "64")]
        series.ask_for_exemplars();
        let Some(kept) = series.first_cell().and_then(|first| self.0.get(&first)) else { return };
        let step = (-f64::from(series.fraction_bits())).exp2();
        out.extend(kept.iter().map(|(_, view)| ExemplarView { value: view.value * step, ..view.clone() }));
    }
}

/// The correlation fields with this number, as exporters may see them.
#[cfg(target_has_atomic = "64")]
fn fields_of(number: u64, mask: &mut Mask) -> Option<correlation::Fields> {
    let fields = if number == 0 { None } else { correlation::fields(number) }?;
    let masked: Vec<_> = fields.iter().map(|(name, value)| mask.shown(name, value)).collect();
    if masked.iter().all(Option::is_none) {
        return Some(fields);
    }
    let shown = fields
        .iter()
        .zip(masked)
        .map(|((name, value), masked)| (name.clone(), masked.map_or_else(|| value.clone(), Into::into)));
    Some(shown.collect())
}

fn keep(kept: &mut Vec<(u32, ExemplarView)>, power: u32, view: ExemplarView) {
    if let Some(same) = kept.iter_mut().find(|(other, _)| *other == power) {
        *same = (power, view);
        return;
    }
    if kept.len() == MOST
        && let Some(oldest) = kept.iter_mut().min_by_key(|(_, view)| view.time_unix_ns)
    {
        *oldest = (power, view);
        return;
    }
    kept.push((power, view));
}

#[cfg(test)]
mod tests {
    use super::*;
    use throughline::{SpanId, TraceId};

    #[test]
    fn the_newest_of_each_power_stays_and_the_oldest_power_goes() {
        let view = |time_unix_ns| ExemplarView {
            value: 1.0,
            time_unix_ns,
            trace_id: TraceId::from_bytes([1; 16]).unwrap(),
            span_id: SpanId::from_bytes([1; 8]).unwrap(),
            fields: None,
        };
        let mut kept = Vec::new();
        for time in 0..100 {
            keep(&mut kept, 7, view(time));
        }
        assert_eq!(kept, [(7, view(99))]);
        for power in 10..30 {
            keep(&mut kept, power, view(u64::from(power) + 100));
        }
        let mut powers: Vec<u32> = kept.iter().map(|(power, _)| *power).collect();
        powers.sort_unstable();
        assert_eq!(powers, (14..30).collect::<Vec<_>>());
    }
}
