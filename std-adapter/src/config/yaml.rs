//! Reads YAML into the tree. Anchors and aliases are supported, merge keys are not.

use super::node::{Data, Entry, Node};
use super::problem::Problem;
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use std::collections::HashMap;

/// Deepest nesting of sections and lists.
const MOST_DEPTH: usize = 64;

/// Reads up to the first syntax error, at most so many values.
pub(super) fn parse(text: &str, most: usize) -> (Node, Vec<Problem>) {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        left: most,
        most,
        problems: Vec::new(),
    };
    let root = reader.document().unwrap_or_else(|problem| {
        reader.problems.push(problem);
        None
    });
    (root.unwrap_or(Node { line: 1, column: 1, data: Data::Table(Vec::new()) }), reader.problems)
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    left: usize,
    most: usize,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<Option<Node>, Problem> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(root),
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                _ if root.is_some() => {
                    return Err(Problem::at(
                        line(span),
                        "is a second document, and one file holds one configuration; remove what is below `---`",
                    ));
                }
                _ => root = Some(self.node(event, span, 0)?),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Problem> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => {
                let line = u32::try_from(error.marker().line()).unwrap_or(u32::MAX);
                Err(Problem::at(line, format!("is not YAML: {}", error.info())))
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Problem> {
        let line = line(span);
        self.take(1, line)?;
        if depth > MOST_DEPTH {
            return Err(Problem::at(line, format!("is more than {MOST_DEPTH} levels deep")));
        }
        let (data, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                (if plain { plain_scalar(&text) } else { Data::Text(text.into_owned()) }, anchor)
            }
            Event::SequenceStart(anchor, _) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd | Event::StreamEnd, _) => break,
                        (event, span) => items.push(self.node(event, span, depth + 1)?),
                    }
                }
                (Data::List(items), anchor)
            }
            Event::MappingStart(anchor, _) => (Data::Table(self.mapping(depth)?), anchor),
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err(Problem::at(line, "is an alias within its own anchor"));
                };
                self.take(count(&node), line)?;
                (node.data, 0)
            }
            _ => (Data::Null, 0),
        };
        let column = u32::try_from(span.start.col()).unwrap_or(u32::MAX).saturating_add(1);
        let node = Node { line, column, data };
        if anchor != 0 {
            self.take(count(&node), line)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn mapping(&mut self, depth: usize) -> Result<Vec<Entry>, Problem> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd | Event::StreamEnd) {
                return Ok(entries);
            }
            let line = line(span);
            let key = match event {
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err(Problem::at(line, "has a key that is not a text")),
            };
            let (event, span) = self.next()?;
            let node = self.node(event, span, depth + 1)?;
            if key == "<<" {
                self.problems
                    .push(Problem::at(line, "has a merge key (<<), which is not read; write the keys out"));
            } else if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                let text = format!("is there twice, first in line {}; remove one", first.line);
                self.problems.push(Problem { key, ..Problem::at(line, text) });
            } else {
                entries.push(Entry { key, line, node });
            }
        }
    }

    fn take(&mut self, nodes: usize, line: u32) -> Result<(), Problem> {
        let most = self.most;
        self.left = self.left.checked_sub(nodes).ok_or_else(|| {
            Problem::at(line, format!("makes the file larger than {most} values, aliases counted in full"))
        })?;
        Ok(())
    }
}

fn line(span: Span) -> u32 {
    u32::try_from(span.start.line()).unwrap_or(u32::MAX).max(1)
}

/// The number of values in a tree.
fn count(node: &Node) -> usize {
    1 + match &node.data {
        Data::List(items) => items.iter().map(count).sum(),
        Data::Table(entries) => entries.iter().map(|entry| count(&entry.node)).sum(),
        _ => 0,
    }
}

/// Reads a text without quotes by YAML 1.2's core schema.
fn plain_scalar(text: &str) -> Data {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Data::Null,
        "true" | "True" | "TRUE" => return Data::Bool(true),
        "false" | "False" | "FALSE" => return Data::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let number = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'-' | b'+'))
        && text.parse::<f64>().is_ok();
    if number { Data::Number(text.into(), true) } else { Data::Text(text.into()) }
}
