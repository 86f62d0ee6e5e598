//! Draws a trace: one line per span, log or loss, sorted by time below its parent.

use super::tree::{Log, Span, Trace};
use super::{BLUE, BOLD, DIM, GREEN, LossNote, Nanoseconds, RED, Style, TimeOfDay, YELLOW};
use crate::text::Escaped;
use std::collections::HashMap;
use std::io::{self, Write};
use throughline::{Level, SpanId, Status, TraceId};

/// Deepest indentation; deeper spans are drawn at this level.
const DEEPEST: usize = 64;

pub(super) enum Item {
    Trace(TraceId, Trace),
    Log(Log),
    Note(LossNote),
}

/// Draws an item that stands alone: a trace, or a log or a loss outside of traces.
pub(super) fn item(out: &mut impl Write, style: Style, item: &Item) -> io::Result<()> {
    match item {
        Item::Trace(id, trace) => self::trace(out, style, *id, trace),
        Item::Log(log) => {
            write!(out, "{} ", style.paint(DIM, TimeOfDay(log.time)))?;
            log_text(out, style, log)
        }
        Item::Note(note) => self::note(out, style, note),
    }
}

/// Draws a loss outside of traces.
pub(super) fn note(out: &mut impl Write, style: Style, note: &LossNote) -> io::Result<()> {
    write!(out, "{} ", style.paint(DIM, TimeOfDay(note.time_unix_ns)))?;
    loss_text(out, style, note)
}

/// A line of a trace.
#[derive(Clone, Copy)]
enum Node<'t> {
    Span(&'t Span),
    Log(&'t Log),
    Loss(&'t LossNote),
}

impl Node<'_> {
    fn time(&self) -> u64 {
        match self {
            Node::Span(s) => s.start,
            Node::Log(l) => l.time,
            Node::Loss(n) => n.time_unix_ns,
        }
    }

    /// The sort key of nodes below one span. It depends only on the records, because spans of several threads
    /// arrive in any order: spans that start at the same time are sorted by their ends, then by their ids.
    /// Logs with the same time stay in the order in which their thread made them.
    fn order(&self) -> (u64, u8, u64, Option<SpanId>) {
        match self {
            Node::Span(s) => (s.start, 0, s.end, Some(s.id)),
            Node::Log(l) => (l.time, 1, 0, None),
            Node::Loss(n) => (n.time_unix_ns, 2, 0, None),
        }
    }
}

fn trace(out: &mut impl Write, style: Style, id: TraceId, trace: &Trace) -> io::Result<()> {
    let (start, _) = trace.interval();
    let continued = if trace.continued { " (continued)" } else { "" };
    let id = if trace.unknown { "⋯".to_owned() } else { id.to_string() };
    let head = format!("{} trace {id}{continued}", TimeOfDay(start));
    let missing = match (trace.unknown, trace.complete) {
        (true, _) => "  (its remote trace is not known)",
        (false, true) => "",
        (false, false) => "  (its root has not been seen)",
    };
    writeln!(out, "{}{}", style.paint(DIM, head), style.paint(YELLOW, missing))?;
    let known: HashMap<SpanId, ()> = trace.spans.iter().map(|s| (s.id, ())).collect();
    let mut children: HashMap<Option<SpanId>, Vec<Node<'_>>> = HashMap::new();
    let place = |parent: Option<SpanId>| parent.filter(|p| known.contains_key(p));
    for span in &trace.spans {
        // A span that is its own parent would never be drawn.
        children.entry(place(span.parent).filter(|p| *p != span.id)).or_default().push(Node::Span(span));
    }
    for log in &trace.logs {
        children.entry(place(log.span)).or_default().push(Node::Log(log));
    }
    // A loss belongs to no span, so it is drawn below the root at its time.
    let root = trace.spans.iter().find(|s| s.parent.is_none()).map(|s| s.id);
    for note in &trace.notes {
        children.entry(root).or_default().push(Node::Loss(note));
    }
    for nodes in children.values_mut() {
        nodes.sort_by_key(Node::order);
    }
    let unknown = trace.unknown;
    let mut drawing = Drawing { out, style, start, unknown, children, prefix: String::new() };
    drawing.below(None)?;
    // Spans whose parents form a cycle are below no root; draw them too.
    while let Some(&left) = drawing.children.keys().next() {
        drawing.below(left)?;
    }
    Ok(())
}

struct Drawing<'t, 'o, W> {
    out: &'o mut W,
    style: Style,
    start: u64,
    /// Whether the first spans have a remote parent that is not known.
    unknown: bool,
    children: HashMap<Option<SpanId>, Vec<Node<'t>>>,
    /// Text before the lines of the innermost level: the branches of the levels above.
    prefix: String,
}

/// The nodes below one span that are still to be drawn.
struct Siblings<'t> {
    left: std::vec::IntoIter<Node<'t>>,
    /// Length of the prefix of the level above.
    prefix_above: usize,
}

impl<'t, W: Write> Drawing<'t, '_, W> {
    /// Draws everything below a span, level by level. It does not recurse, because a chain of spans may be
    /// deeper than the stack allows.
    fn below(&mut self, of: Option<SpanId>) -> io::Result<()> {
        let mut open: Vec<Siblings<'t>> = self.level(of, "").into_iter().collect();
        while let Some(level) = open.last_mut() {
            let Some(node) = level.left.next() else {
                self.prefix.truncate(level.prefix_above);
                open.pop();
                continue;
            };
            let is_last = level.left.len() == 0;
            let depth = open.len() - 1;
            let (branch, below) = match (depth, is_last) {
                (0, _) => ("", ""),
                (_, false) => ("├─ ", "│  "),
                (_, true) => ("└─ ", "   "),
            };
            let column = match node {
                Node::Span(s) => Nanoseconds(s.end.saturating_sub(s.start)).to_string(),
                _ => format!("+{}", Nanoseconds(node.time().saturating_sub(self.start))),
            };
            let tree = format!("{}{branch}", self.prefix);
            write!(self.out, "{column:>10}  {}", self.style.paint(DIM, tree))?;
            match node {
                Node::Log(log) => log_text(self.out, self.style, log)?,
                Node::Loss(note) => loss_text(self.out, self.style, note)?,
                Node::Span(span) => {
                    let torn = depth == 0 && of.is_none() && (self.unknown || span.parent.is_some());
                    span_text(self.out, self.style, span, torn)?;
                    open.extend(self.level(Some(span.id), if depth < DEEPEST { below } else { "" }));
                }
            }
        }
        Ok(())
    }

    /// Opens the level below a span, whose lines get `indent` added before them. Returns `None` if nothing is
    /// below it.
    fn level(&mut self, of: Option<SpanId>, indent: &str) -> Option<Siblings<'t>> {
        let nodes = self.children.remove(&of)?;
        let prefix_above = self.prefix.len();
        self.prefix.push_str(indent);
        Some(Siblings { left: nodes.into_iter(), prefix_above })
    }
}

fn span_text(out: &mut impl Write, style: Style, span: &Span, torn: bool) -> io::Result<()> {
    // The span's parent is in another process, or it was lost.
    if torn {
        write!(out, "{} ", style.paint(DIM, "⋯"))?;
    }
    let name = match span.status {
        Status::Error => BOLD.fg_color(RED.get_fg_color()),
        _ if span.level < Level::Info => DIM,
        _ => BOLD,
    };
    write!(out, "{}", style.paint(name, &span.name))?;
    match span.status {
        Status::Error => write!(out, " {}", style.paint(RED, "✗ error"))?,
        Status::Ok => write!(out, " {}", style.paint(GREEN, "✓"))?,
        Status::Cancelled => write!(out, " {}", style.paint(YELLOW, "⊘ cancelled"))?,
        Status::Unset => {}
    }
    if !span.fields.is_empty() {
        write!(out, "  {}", span.fields)?;
    }
    if let Some(busy) = span.busy {
        write!(out, "  {}", style.paint(DIM, format_args!("busy {}", Nanoseconds(busy))))?;
    }
    if let Some(error) = span.time_error {
        write!(out, "  {}", style.paint(DIM, format_args!("±{}", Nanoseconds(error))))?;
    }
    writeln!(out)
}

fn log_text(out: &mut impl Write, style: Style, log: &Log) -> io::Result<()> {
    let ansi = match log.level {
        Level::Error => RED,
        Level::Warn => YELLOW,
        Level::Info => GREEN,
        Level::Debug => BLUE,
        Level::Trace => DIM,
    };
    writeln!(out, "{} {}", style.paint(ansi, log.level), log.text)
}

fn loss_text(out: &mut impl Write, style: Style, note: &LossNote) -> io::Result<()> {
    let s = if note.count == 1 { "" } else { "s" };
    writeln!(
        out,
        "{}",
        style.paint(RED, format_args!("▲ {} record{s} lost here: {}", note.count, Escaped(&note.what)))
    )
}
