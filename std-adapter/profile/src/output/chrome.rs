//! The CPU profile of Chrome's developer tools (`.cpuprofile`), `Profiler.Profile` of
//! <https://chromedevtools.github.io/devtools-protocol/tot/Profiler/#type-Profile>.

use super::Report;
use super::json::{List, Quoted};
use crate::symbols::Function;
use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

impl Report {
    /// The profile for Chrome's developer tools (Performance, *Load profile*) and for Visual Studio Code: a file whose name ends in
    /// `.cpuprofile`. The order of samples is not that of time: stacks that begin alike lie side by side. Times are in
    /// microseconds; of a memory profile, bytes stand in their place.
    pub fn chrome(&self) -> String {
        let mut tree = Tree::default();
        tree.nodes.push(Node::new("(root)", None));
        let (mut samples, mut deltas) = (Vec::new(), vec![0]);
        // Microseconds are cut from the sum, so that what is lost by cutting does not add up.
        let divisor = if self.measure_name().1 == "nanoseconds" { 1000 } else { 1 };
        let (mut total, mut told) = (0, 0);
        for sample in self.side_by_side() {
            let mut at = 0;
            if let Some((_, thread)) = self.thread(sample.labels) {
                at = tree.child(at, thread, None);
            }
            for location in self.stacks[sample.stack as usize].iter().rev() {
                for function in location.functions.iter().rev() {
                    at = tree.child(at, &function.name, Some(function));
                }
            }
            tree.nodes[at].hits += sample.values[0];
            samples.push(at + 1);
            total += sample.values[self.measure];
            deltas.push(total / divisor - told);
            told = total / divisor;
        }
        // A sample lasts until the next one, and the last one until this.
        samples.push(1);
        let started = self.profile.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64;
        let nodes: Vec<String> =
            tree.nodes.iter().enumerate().map(|(index, node)| node.text(index)).collect();
        format!(
            "{{\"nodes\":{},\"startTime\":{started},\"endTime\":{},\"samples\":{},\"timeDeltas\":{}}}\n",
            List(&nodes),
            started + told,
            List(&samples),
            List(&deltas),
        )
    }
}

#[derive(Default)]
struct Tree {
    /// The root first; a node's id is its number and 1.
    nodes: Vec<Node>,
}

struct Node {
    name: String,
    file: String,
    hits: u64,
    /// By name and file.
    children: BTreeMap<(String, String), usize>,
}

impl Tree {
    fn child(&mut self, parent: usize, name: &str, function: Option<&Function>) -> usize {
        let new = Node::new(name, function);
        let next = self.nodes.len();
        let key = (new.name.clone(), new.file.clone());
        let index = *self.nodes[parent].children.entry(key).or_insert(next);
        if index == next {
            self.nodes.push(new);
        }
        index
    }
}

impl Node {
    fn new(name: &str, function: Option<&Function>) -> Node {
        let file = function.and_then(|function| function.file.as_deref()).unwrap_or_default();
        Node { name: name.to_owned(), file: file.to_owned(), hits: 0, children: BTreeMap::new() }
    }

    fn text(&self, index: usize) -> String {
        let children: Vec<usize> = self.children.values().map(|index| index + 1).collect();
        format!(
            "{{\"id\":{},\"callFrame\":{{\"functionName\":{},\"scriptId\":\"0\",\"url\":{},\"lineNumber\":-1,\"columnNumber\":-1}},\
            \"hitCount\":{},\"children\":{}}}",
            index + 1,
            Quoted(&self.name),
            Quoted(&self.file),
            self.hits,
            List(&children),
        )
    }
}
