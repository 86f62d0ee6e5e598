//! Orders the lines of a trace: parents before children, siblings by time. It does not recurse, because a
//! chain of spans may be long.

use std::collections::HashMap;
use throughline::adapter::record::LINK_FIELD;

use crate::trace::Entry;
use crate::trace_group::{Group, Ids};

/// The lines of a group with their depths.
pub(crate) fn arrange<'elf>(group: Group<'elf>, ids: &Ids) -> Vec<(usize, Entry<'elf>)> {
    let Group { mut spans, events, added, losses, .. } = group;
    let at: HashMap<u64, usize> = spans.iter().enumerate().map(|(i, span)| (span.id, i)).collect();
    let trace_id = ids.trace();
    for span in &mut spans {
        span.trace_id = trace_id;
        span.span_id = ids.own(span.id);
        span.parent_span_id = span.parent.and_then(|id| ids.span(id));
        span.parent_is_remote = span.parent.is_some_and(|id| ids.is_remote(id));
        span.orphan = span.parent.is_some_and(|id| !at.contains_key(&id) && !span.parent_is_remote);
    }
    let mut unclaimed = Vec::new();
    for mut event in added {
        (event.trace_id, event.span_id) = (trace_id, event.span_local.and_then(|id| ids.span(id)));
        let span = event.span_local.and_then(|id| at.get(&id)).and_then(|i| spans.get_mut(*i));
        match span {
            Some(span) => {
                for (name, value) in event.fields {
                    // A field that is set again gets its new value, as in OpenTelemetry.
                    match span.fields.iter_mut().find(|(known, _)| *known == name && name != LINK_FIELD) {
                        Some((_, old)) => *old = value,
                        None => span.fields.push((name, value)),
                    }
                }
            }
            None => unclaimed.push(event),
        }
    }
    let count = spans.len();
    let place = |id: Option<u64>| id.and_then(|id| at.get(&id).copied());
    // Add spans first, so that the index of a span is also that of its entry.
    let mut entries: Vec<(usize, Entry<'elf>)> =
        Vec::with_capacity(count + unclaimed.len() + events.len() + losses.len());
    let mut nodes = Vec::with_capacity(entries.capacity());
    for (i, span) in spans.into_iter().enumerate() {
        nodes.push(Node { time: span.start.unix_ns, parent: place(span.parent).filter(|p| *p != i) });
        entries.push((0, Entry::Span(span)));
    }
    for event in unclaimed {
        nodes.push(Node { time: event.time.unix_ns, parent: None });
        entries.push((0, Entry::Fields(event)));
    }
    for mut event in events {
        (event.trace_id, event.span_id) = (trace_id, event.span_local.and_then(|id| ids.span(id)));
        nodes.push(Node { time: event.time.unix_ns, parent: place(event.span_local) });
        entries.push((0, Entry::Event(event)));
    }
    let top = nodes.iter().take(count).position(|node| node.parent.is_none());
    for loss in losses {
        // A loss belongs to no span, so it is shown below the first span of the trace, at its time.
        nodes.push(Node { time: loss.time.unix_ns, parent: top });
        entries.push((0, Entry::Loss(loss)));
    }
    let order = walk(&nodes);
    drop(nodes);
    put_in_order(&mut entries, order);
    entries
}

/// The properties of a line that determine its place.
struct Node {
    time: u64,
    /// Index of the span above it.
    parent: Option<usize>,
}

/// The indices of the nodes in the order of their lines, each with its depth.
fn walk(nodes: &[Node]) -> Vec<(usize, usize)> {
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    let mut tops = Vec::new();
    for (i, node) in nodes.iter().enumerate() {
        match node.parent.and_then(|p| children.get_mut(p)) {
            Some(of_parent) => of_parent.push(i),
            None => tops.push(i),
        }
    }
    let by_time = |list: &mut Vec<usize>| list.sort_by_key(|i| std::cmp::Reverse((nodes[*i].time, *i)));
    by_time(&mut tops);
    let mut seen = vec![false; nodes.len()];
    let mut order = Vec::with_capacity(nodes.len());
    let mut stack: Vec<(usize, usize)> = tops.into_iter().map(|i| (i, 0)).collect();
    // Spans whose parents form a cycle are below no top; enter each cycle at its first span.
    let mut next = 0;
    loop {
        while let Some((i, depth)) = stack.pop() {
            if std::mem::replace(&mut seen[i], true) {
                continue;
            }
            order.push((i, depth));
            let mut below = std::mem::take(&mut children[i]);
            by_time(&mut below);
            stack.extend(below.into_iter().map(|c| (c, depth + 1)));
        }
        match (next..nodes.len()).find(|i| !seen[*i]) {
            Some(i) => {
                next = i;
                stack.push((i, 0));
            }
            None => return order,
        }
    }
}

/// Moves the entries into this order and sets their depths. It works in place, because a long trace has many
/// large entries.
fn put_in_order(entries: &mut [(usize, Entry<'_>)], mut order: Vec<(usize, usize)>) {
    for start in 0..order.len() {
        // Follow one cycle of the permutation. A finished place refers to itself.
        let mut to = start;
        loop {
            let from = std::mem::replace(&mut order[to].0, to);
            if from == start {
                break;
            }
            entries.swap(to, from);
            to = from;
        }
    }
    for (entry, (_, depth)) in entries.iter_mut().zip(order) {
        entry.0 = depth;
    }
}
