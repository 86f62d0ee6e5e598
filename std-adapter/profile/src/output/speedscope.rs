//! The file format of speedscope: <https://www.speedscope.app/file-format-schema.json>.

use super::Report;
use super::json::{List, Quoted};
use crate::symbols::Function;
use std::collections::{BTreeMap, HashMap};

/// The stacks of a thread, each as numbers of functions, and what each took.
type Stacks = (Vec<String>, Vec<u64>);

impl Report {
    /// The profile for <https://www.speedscope.app>, one for each thread. The order of samples is not that of time:
    /// stacks that begin alike lie side by side.
    pub fn speedscope(&self, name: &str) -> String {
        let (mut frames, mut numbers) = (Vec::new(), HashMap::<&Function, usize>::new());
        let mut threads = BTreeMap::<&str, Stacks>::new();
        for sample in self.side_by_side() {
            let locations = self.stacks[sample.stack as usize].iter().rev();
            let functions = locations.flat_map(|location| location.functions.iter().rev());
            let stack: Vec<usize> = functions
                .map(|function| {
                    *numbers.entry(function).or_insert_with(|| {
                        frames.push(frame(function));
                        frames.len() - 1
                    })
                })
                .collect();
            let thread = self.thread(sample.labels).map_or("all threads", |(_, name)| name);
            let (stacks, weights) = threads.entry(thread).or_default();
            stacks.push(List(&stack).to_string());
            weights.push(sample.values[self.measure]);
        }
        let unit = match self.measure_name().1 {
            "count" => "none",
            unit => unit,
        };
        let profiles: Vec<String> = threads
            .iter()
            .map(|(thread, (stacks, weights))| {
                format!(
                    "{{\"type\":\"sampled\",\"name\":{},\"unit\":\"{unit}\",\"startValue\":0,\"endValue\":{},\"samples\":{},\"weights\":{}}}",
                    Quoted(thread),
                    weights.iter().sum::<u64>(),
                    List(stacks),
                    List(weights),
                )
            })
            .collect();
        format!(
            "{{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\"name\":{},\"exporter\":\"throughline\",\
            \"shared\":{{\"frames\":{}}},\"profiles\":{}}}\n",
            Quoted(name),
            List(&frames),
            List(&profiles),
        )
    }
}

fn frame(function: &Function) -> String {
    let file = function.file.as_deref().map_or(String::new(), |file| format!(",\"file\":{}", Quoted(file)));
    let line = if function.line > 0 { format!(",\"line\":{}", function.line) } else { String::new() };
    format!("{{\"name\":{}{file}{line}}}", Quoted(&function.name))
}
