//! A table of the functions that took most.

use super::{Report, quantity};
use std::collections::{HashMap, HashSet};

/// Most lines of the table.
const LINES: usize = 40;

impl Report {
    /// A table for people: for each function what it took itself, and with everything that it called. A function that
    /// calls itself is counted once. The functions that took most themselves come first.
    ///
    /// ```text
    /// 1.980 s of CPU time in 2.0 s: 196 samples, 99 per second of CPU time of 99 asked for
    ///
    ///      self   self%      total  total%  function
    ///   1.388 s   70.1%    1.388 s   70.1%  shop::price
    ///   396.0 ms  20.0%    396.0 ms  20.0%  shop::tax
    /// ```
    pub fn text(&self) -> String {
        let mut functions = HashMap::<&str, [u64; 2]>::new();
        let mut all = 0;
        for (names, _, value) in self.lines() {
            all += value;
            if let Some(innermost) = names.last() {
                functions.entry(innermost).or_default()[0] += value;
            }
            let different: HashSet<&str> = names.iter().map(|name| &***name).collect();
            different.into_iter().for_each(|name| functions.entry(name).or_default()[1] += value);
        }
        let mut functions: Vec<_> = functions.into_iter().collect();
        functions.sort_unstable_by_key(|(name, [own, total])| (std::cmp::Reverse((*own, *total)), *name));
        let unit = self.measure_name().1;
        let share = |value: u64| 100.0 * value as f64 / all.max(1) as f64;
        let mut text = self.summary();
        text += &format!("\n\n{:>12} {:>7} {:>12} {:>7}  function\n", "self", "self%", "total", "total%");
        for (name, [own, total]) in functions.iter().take(LINES) {
            let (own_share, total_share) = (share(*own), share(*total));
            let (own, total) = (quantity(*own, unit), quantity(*total, unit));
            text += &format!("{own:>12} {own_share:>6.1}% {total:>12} {total_share:>6.1}%  {name}\n");
        }
        if functions.len() > LINES {
            text += &format!("… and {} functions more\n", functions.len() - LINES);
        }
        text
    }
}
