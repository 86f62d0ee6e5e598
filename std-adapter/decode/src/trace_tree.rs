//! The order of one trace's lines: parents before children, siblings by time. No recursion, as a chain of spans may be long.

use std::collections::HashMap;

use crate::trace::{Entry, Group, Ids};

/// The lines of a group, with their depths.
pub(crate) fn arrange<'elf>(group: Group<'elf>, ids: &Ids<'_>) -> Vec<(usize, Entry<'elf>)> {
    let Group { mut spans, events, added, losses, .. } = group;
    let at: HashMap<u64, usize> = spans.iter().enumerate().map(|(i, span)| (span.id, i)).collect();
    let trace_id = ids.trace();
    for span in &mut spans {
        span.trace_id = trace_id;
        span.span_id = ids.span(span.id);
        span.parent_span_id = span.parent.map(|id| ids.span(id));
        span.orphan = span.parent.is_some_and(|id| !at.contains_key(&id) && !ids.is_remote(id));
    }
    let mut nodes = Vec::with_capacity(spans.len() + events.len());
    for mut event in added {
        event.span = event.span_local.map(|id| (trace_id, ids.span(id)));
        let span = event.span_local.and_then(|id| at.get(&id)).and_then(|i| spans.get_mut(*i));
        match span {
            Some(span) => {
                for (name, value) in event.fields {
                    // Set again is set anew, as OpenTelemetry has it.
                    match span.fields.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, old)) => *old = value,
                        None => span.fields.push((name, value)),
                    }
                }
            }
            None => nodes.push((event.time.unix_ns, None, Entry::Fields(event))),
        }
    }
    let count = spans.len();
    let place = |id: Option<u64>| id.and_then(|id| at.get(&id).copied());
    // Spans first, so that the index of a span is that of its node.
    let mut all: Vec<(u64, Option<usize>, Entry<'elf>)> = Vec::with_capacity(count + nodes.len());
    for (i, span) in spans.into_iter().enumerate() {
        let parent = place(span.parent).filter(|p| *p != i);
        all.push((span.start.unix_ns, parent, Entry::Span(span)));
    }
    all.append(&mut nodes);
    for mut event in events {
        event.span = event.span_local.map(|id| (trace_id, ids.span(id)));
        all.push((event.time.unix_ns, place(event.span_local), Entry::Event(event)));
    }
    let top = all.iter().take(count).position(|(_, parent, _)| parent.is_none());
    for loss in losses {
        // A loss is of no span in particular: below the first of the trace, at its time.
        all.push((loss.time.unix_ns, top, Entry::Loss(loss)));
    }
    walk(all)
}

fn walk<'elf>(all: Vec<(u64, Option<usize>, Entry<'elf>)>) -> Vec<(usize, Entry<'elf>)> {
    let times: Vec<u64> = all.iter().map(|(time, ..)| *time).collect();
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); all.len()];
    let mut tops = Vec::new();
    for (i, (_, parent, _)) in all.iter().enumerate() {
        match parent.and_then(|p| children.get_mut(p)) {
            Some(of_parent) => of_parent.push(i),
            None => tops.push(i),
        }
    }
    let mut left: Vec<Option<Entry<'elf>>> = all.into_iter().map(|(.., entry)| Some(entry)).collect();
    let mut out = Vec::with_capacity(left.len());
    let by_time = |list: &mut Vec<usize>| list.sort_by_key(|i| std::cmp::Reverse((times[*i], *i)));
    by_time(&mut tops);
    let mut stack: Vec<(usize, usize)> = tops.into_iter().map(|i| (i, 0)).collect();
    // Spans in a circle hang from no top; each circle is entered where it is met.
    let mut next = 0;
    loop {
        while let Some((i, depth)) = stack.pop() {
            let Some(entry) = left[i].take() else { continue };
            out.push((depth, entry));
            let mut below = std::mem::take(&mut children[i]);
            by_time(&mut below);
            stack.extend(below.into_iter().map(|c| (c, depth + 1)));
        }
        match (next..left.len()).find(|i| left[*i].is_some()) {
            Some(i) => {
                next = i;
                stack.push((i, 0));
            }
            None => return out,
        }
    }
}
