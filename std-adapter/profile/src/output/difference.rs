//! What changed between two profiles: folded text and a flame graph.

use super::flame_graph::{Node, Picture};
use super::{Report, quantity};
use std::collections::BTreeMap;
use std::fmt::Write;

impl Report {
    /// A flame graph of this profile in which colours tell the change since `before`: red took a larger share of the whole
    /// than before, blue a smaller one, and white the same; the strongest colour is the largest change. The profile
    /// before is scaled to the sum of this one, so that the lengths of the two need not be equal. Threads are taken
    /// together. A frame that is gone has no width here: it shows with the two profiles exchanged.
    pub fn difference(&self, before: &Report, title: &str) -> String {
        let mut root = Node::default();
        for (stack, [old, new]) in self.both(before) {
            root.add(stack.iter().map(|name| (*name).to_owned()), old, new);
        }
        let unit = self.measure_name().1;
        let summary = format!(
            "red: a larger share than before, blue: a smaller one; {} now, {} before, which is scaled to it",
            quantity(self.shown(), unit),
            quantity(before.shown(), unit),
        );
        Picture::of_difference(&root, unit).document(title, &summary)
    }

    /// The same as text: each stack on a line with two values, before (scaled as for [`difference`](Report::difference))
    /// and now, as `difffolded.pl` of Brendan Gregg's FlameGraph writes them.
    pub fn folded_difference(&self, before: &Report) -> String {
        let divisor = if self.measure_name().1 == "nanoseconds" { 1000 } else { 1 };
        let mut text = String::new();
        for (stack, [old, new]) in self.both(before) {
            let names: Vec<_> = stack.into_iter().map(super::folded::escaped).collect();
            let (old, new) = (old / divisor, new / divisor);
            if old + new > 0 {
                // Writing into a string cannot fail.
                let _ = writeln!(text, "{} {old} {new}", names.join(";"));
            }
        }
        text
    }

    /// For each stack, its scaled value in `before` and its value here.
    fn both<'a>(&'a self, before: &'a Report) -> BTreeMap<Vec<&'a str>, [u64; 2]> {
        let scale = self.shown() as f64 / before.shown().max(1) as f64;
        let mut stacks = BTreeMap::<Vec<&str>, [f64; 2]>::new();
        for (index, (report, scale)) in [(before, scale), (self, 1.0)].into_iter().enumerate() {
            for (names, _, value) in report.lines() {
                let stack = names.into_iter().map(|name| &**name).collect();
                stacks.entry(stack).or_default()[index] += value as f64 * scale;
            }
        }
        stacks.into_iter().map(|(stack, values)| (stack, values.map(|value| value.round() as u64))).collect()
    }

    /// The sum of the measure that is shown.
    fn shown(&self) -> u64 {
        self.profile.total(self.measure)
    }
}
