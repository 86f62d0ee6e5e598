//! A flame graph: one SVG file that a browser shows, zooms and searches without anything else.

use super::{Report, quantity};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Sizes in pixels.
const WIDTH: f64 = 1200.0;
const ROW: f64 = 17.0;
const MARGIN: f64 = 10.0;
/// Above the graph: the title and a line about the profile.
const TOP: f64 = 56.0;
/// Below the graph: the name of the frame under the pointer.
const BOTTOM: f64 = 30.0;
const CHARACTER: f64 = 6.8;
/// Narrower frames are left out.
const NARROWEST: f64 = 0.1;

/// A frame with everything that it called.
#[derive(Default)]
pub(super) struct Node {
    value: u64,
    /// What it took in another profile, for a difference.
    before: u64,
    children: BTreeMap<String, Node>,
}

impl Node {
    /// Adds a stack, the outermost name first.
    pub(super) fn add(&mut self, names: impl IntoIterator<Item = String>, before: u64, value: u64) {
        self.before += before;
        self.value += value;
        let mut node = self;
        for name in names {
            node = node.children.entry(name).or_default();
            node.before += before;
            node.value += value;
        }
    }

    /// The largest change among its children and theirs.
    fn largest_change(&self) -> u64 {
        let changes = self.children.values().map(|it| it.value.abs_diff(it.before).max(it.largest_change()));
        changes.max().unwrap_or(0)
    }

    /// How many frames lie above each other that are at least this wide, in the unit of the profile.
    fn depth(&self, narrowest: f64) -> usize {
        let drawn = self.children.values().filter(|child| child.value as f64 >= narrowest);
        1 + drawn.map(|child| child.depth(narrowest)).max().unwrap_or(0)
    }
}

impl Report {
    /// A flame graph as an SVG file: the width of a frame is what its function took, and what it called lies above it.
    /// A click zooms, a click on the lowest frame shows everything again, and Ctrl-F or *Search* marks the functions
    /// whose names match a regular expression.
    pub fn flame_graph(&self, title: &str) -> String {
        let mut root = Node::default();
        for (names, labels, value) in self.lines() {
            let thread = self.thread(labels).map(|(_, name)| format!("thread {name}"));
            root.add(thread.into_iter().chain(names.iter().map(|name| name.to_string())), 0, value);
        }
        Picture::new(&root, self.measure_name().1, None).document(title, &self.summary())
    }
}

/// A picture of all frames.
pub(super) struct Picture {
    out: String,
    all: u64,
    unit: &'static str,
    bottom: f64,
    /// The change that has the strongest colour, in a difference.
    largest_change: Option<u64>,
}

impl Picture {
    fn new(root: &Node, unit: &'static str, largest_change: Option<u64>) -> Picture {
        let all = root.value.max(1);
        let bottom = TOP + root.depth(NARROWEST / scale(all)) as f64 * ROW;
        let mut picture = Picture { out: String::new(), all, unit, bottom, largest_change };
        picture.draw("all", root, 0, 0);
        picture
    }

    /// Colours tell the change since before.
    pub(super) fn of_difference(root: &Node, unit: &'static str) -> Picture {
        Picture::new(root, unit, Some(root.largest_change().max(1)))
    }

    /// The SVG file.
    pub(super) fn document(&self, title: &str, summary: &str) -> String {
        let height = self.bottom + BOTTOM;
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
            <svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\">\n\
            <style>{STYLE}</style>\n\
            <rect width=\"100%\" height=\"100%\" fill=\"#fcfaf5\"/>\n\
            <text id=\"title\" x=\"{MARGIN}\" y=\"24\">{title}</text>\n\
            <text x=\"{MARGIN}\" y=\"43\" class=\"quiet\">{summary}</text>\n\
            <text id=\"search\" x=\"{right}\" y=\"24\" class=\"button\">Search</text>\n\
            <text id=\"found\" x=\"{right}\" y=\"43\" class=\"quiet end\"></text>\n\
            <text id=\"detail\" x=\"{MARGIN}\" y=\"{detail}\"> </text>\n\
            <g id=\"frames\">\n{frames}</g>\n<script><![CDATA[\n{SCRIPT}]]></script>\n</svg>\n",
            title = escaped(title),
            summary = escaped(summary),
            right = WIDTH - MARGIN,
            detail = height - 10.0,
            frames = self.out,
        )
    }

    /// Draws a frame and what it called. `before` is the value to its left.
    fn draw(&mut self, name: &str, node: &Node, before: u64, depth: usize) {
        let scale = scale(self.all);
        let (x, width) = (MARGIN + before as f64 * scale, node.value as f64 * scale);
        if width < NARROWEST {
            return;
        }
        let y = self.bottom - (depth + 1) as f64 * ROW;
        let share = 100.0 * node.value as f64 / self.all as f64;
        let fits = ((width - 6.0) / CHARACTER) as usize;
        let (name_text, label) = (escaped(name), escaped(&shortened(name, fits)));
        let amount = quantity(node.value, self.unit);
        let change = self.largest_change.map(|_| {
            let points = 100.0 * (node.value as f64 - node.before as f64) / self.all as f64;
            format!(", {points:+.2} points")
        });
        let color = match self.largest_change {
            Some(largest) if depth > 0 => color_of_change(node, largest),
            _ => color(name),
        };
        // Writing into a string cannot fail.
        let _ = writeln!(
            self.out,
            "<g data-x=\"{before}\" data-w=\"{value}\" data-d=\"{depth}\"><title>{name_text} ({amount}, {share:.2} %{change})</title>\
            <rect x=\"{x:.2}\" y=\"{y}\" width=\"{width:.2}\" height=\"{high}\" fill=\"{color}\"/>\
            <text x=\"{text_x:.2}\" y=\"{text_y}\">{label}</text></g>",
            value = node.value,
            high = ROW - 1.0,
            change = change.unwrap_or_default(),
            text_x = x + 3.0,
            text_y = y + 12.0,
        );
        let mut before = before;
        for (name, child) in &node.children {
            self.draw(name, child, before, depth + 1);
            before += child.value;
        }
    }
}

/// Pixels for each unit of the profile.
fn scale(all: u64) -> f64 {
    (WIDTH - 2.0 * MARGIN) / all as f64
}

/// What of a name fits into so many characters: without the first parts of its path, or else the start of its last part. The
/// script does the same.
fn shortened(name: &str, fits: usize) -> String {
    let parts = parts(name).into_iter().rev();
    let last = parts.clone().find(|part| *part == 0 || !name[*part..].starts_with('{')).unwrap_or(0);
    let fitting = parts.rev().filter(|part| *part <= last).find(|part| name[*part..].chars().count() <= fits);
    match fitting {
        Some(part) => name[part..].to_owned(),
        None if fits < 4 => String::new(),
        None => name[last..].chars().take(fits - 2).chain("..".chars()).collect(),
    }
}

/// Where the parts of a path begin, which `::` separates outside of brackets.
fn parts(name: &str) -> Vec<usize> {
    let (mut parts, mut depth) = (vec![0], 0);
    for (at, c) in name.char_indices() {
        match c {
            '<' | '(' | '[' | '{' => depth += 1,
            '>' if name[..at].ends_with('-') => {}
            '>' | ')' | ']' | '}' => depth -= 1,
            ':' if depth == 0 && name[..at].ends_with(':') => parts.push(at + 1),
            _ => {}
        }
    }
    parts
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML has no other control characters, not even escaped.
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A warm colour that is the same in every picture for functions of one crate or library; cool for threads and grey for
/// what is missing.
fn color(name: &str) -> String {
    if name == "all" || name.starts_with('[') {
        return "#c9c5bb".to_owned();
    }
    let start = name.trim_start_matches(['<', '&', '*']);
    let family = start.split("::").next().unwrap_or(start);
    // FNV-1a.
    let hash = |text: &str| {
        text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
    };
    let (of_family, of_name) = (hash(family) >> 16, hash(name) >> 16);
    if name.starts_with("thread ") {
        return format!("hsl({},45%,72%)", 190 + of_name % 30);
    }
    format!("hsl({},{}%,{}%)", 8 + of_family % 46, 72 + of_family / 64 % 16, 60 + of_name % 12)
}

/// Red for more, blue for less, and the paler the smaller the change is.
fn color_of_change(node: &Node, largest: u64) -> String {
    let strength = node.value.abs_diff(node.before) as f64 / largest as f64;
    let pale = 245 - (165.0 * strength.min(1.0)) as u8;
    if node.value >= node.before {
        format!("rgb(245,{pale},{pale})")
    } else {
        format!("rgb({pale},{pale},245)")
    }
}

const STYLE: &str = "text{font:12px ui-monospace,Menlo,Consolas,monospace;fill:#1d1b16}#title{font-size:17px;font-weight:bold}\
.quiet{fill:#6b665a}.button{fill:#0b57a4;text-anchor:end;cursor:pointer}.end{text-anchor:end}#frames text{pointer-events:none;font-size:11px}\
#frames g{cursor:pointer}#frames g:hover rect{stroke:#1d1b16;stroke-width:1}.match rect{fill:#7b3ff2}.match text{fill:#fff}.outside{opacity:.45}";

const SCRIPT: &str = include_str!("flame_graph.js");

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn a_name_that_does_not_fit_keeps_the_end_of_its_path() {
        let name = "<alloc::vec::Vec<T> as core::iter::Extend<T>>::extend";
        assert_eq!(shortened(name, 53), name);
        assert_eq!(shortened(name, 52), "extend");
        assert_eq!(shortened("shop::price::{{closure}}", 20), "price::{{closure}}");
        assert_eq!(shortened("shop::price::{{closure}}", 10), "price::{..");
        assert_eq!(shortened("run<fn(u8) -> a::B>", 12), "run<fn(u8)..");
        assert_eq!(shortened("shop::price", 3), "");
        assert_eq!(shortened("", 0), "");
    }
}
