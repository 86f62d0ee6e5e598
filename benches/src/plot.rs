//! A run as a picture: a bar per subject for each path, on one thread, on a logarithmic scale.
//!
//! The SVG is self-contained: it needs no script, font or other file. Its colours follow the reader's light
//! or dark theme, and it has its own background.

use std::fmt::Write as _;

use crate::report::{LIMIT, Report, Row, SUBJECT, Unit};

/// The paths that are drawn, in order, with their titles.
const PATHS: &[(&str, &str)] = &[
    ("span", "Span"),
    ("span_2fields", "Span with two fields"),
    ("event_2fields", "Event with two fields"),
    ("disabled", "Event that is switched off"),
    ("sampled_out", "Span of a trace that is not sampled"),
    ("counter", "Counter"),
    ("counter_family", "Counter with a label known at run time"),
    ("histogram", "Histogram"),
    ("encode", "Drain a span and encode it as OTLP"),
    ("export_cpu", "CPU to export a span over HTTP, receiver not counted"),
];

/// The number of peers that are drawn for a path; the fastest ones are chosen.
const PEERS: usize = 6;

const WIDTH: f64 = 820.0;
/// The left end of the bars, and the right limit of the longest one.
const LEFT: f64 = 244.0;
const RIGHT: f64 = WIDTH - 92.0;
/// The distance between two bars, and the height of a bar.
const PITCH: f64 = 17.0;
const BAR: f64 = 11.0;
/// The space above the first path: title, machine, legend, scale.
const TOP: f64 = 112.0;
/// A path's title, with the space above it.
const TITLE: f64 = 34.0;

const STYLE: &str = "\
.card{fill:#fff;stroke:#d1d9e0}
text{font-family:system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;font-size:12px;fill:#1f2328}
.title{font-size:17px;font-weight:600}.path{font-size:13px;font-weight:600}.muted{fill:#59636e}
.ours{font-weight:700;fill:#bc4c00}.end{text-anchor:end}.mid{text-anchor:middle}
.grid{stroke:#d1d9e0}.bar{fill:#a0aab4}.limit{fill:none;stroke:#818b98;stroke-dasharray:3 2}
.mine{fill:#e16f24}.budget{stroke:#1f2328;stroke-width:2}
@media (prefers-color-scheme:dark){
.card{fill:#0d1117;stroke:#3d444d}text{fill:#e6edf3}.muted{fill:#9198a1}.ours{fill:#f0883e}
.grid{stroke:#2f353d}.bar{fill:#656c76}.limit{stroke:#9198a1}.mine{fill:#f0883e}.budget{stroke:#e6edf3}
}
";

impl Report {
    /// The run as an SVG picture: nanoseconds on one thread, `throughline` next to the limit and to the six
    /// fastest peers of each path, each library in its fastest configuration.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let groups: Vec<(&str, Vec<&Row>)> = PATHS
            .iter()
            .map(|(path, title)| (*title, chosen(&self.rows, path)))
            .filter(|(_, rows)| !rows.is_empty())
            .collect();
        let scale = Scale::of(groups.iter().flat_map(|(_, rows)| rows.iter().copied()));
        let bars: usize = groups.iter().map(|(_, rows)| rows.len()).sum();
        let bottom = TOP + groups.len() as f64 * TITLE + bars as f64 * PITCH;
        let mut svg = Svg::new(bottom + 40.0);
        svg.text(20.0, 34.0, "title", "Time per operation on one thread");
        let run = format!("{}, {}, {}", self.cpu, short(&self.rustc), self.date);
        svg.text(20.0, 54.0, "muted", &format!("{run}. Logarithmic: a step of the grid is a factor of ten."));
        svg.legend(76.0);
        svg.grid(&scale, TOP - 6.0, bottom + 8.0);
        let mut y = TOP;
        for (title, rows) in groups {
            svg.text(20.0, y + 22.0, "path", title);
            y += TITLE;
            for row in rows {
                svg.bar(row, &scale, y);
                y += PITCH;
            }
        }
        svg.finish()
    }
}

/// The rows drawn for a path: Throughline's, the limit, and the fastest peers, each library once.
fn chosen<'a>(rows: &'a [Row], path: &str) -> Vec<&'a Row> {
    let on_path = |row: &&Row| {
        row.path == path && row.threads == 1 && row.unit == Unit::Ns && !row.target.contains("-none-")
    };
    let (own, mut peers): (Vec<&Row>, Vec<&Row>) =
        rows.iter().filter(on_path).partition(|row| [SUBJECT, LIMIT].contains(&library(row)));
    peers.sort_by(|a, b| a.median.total_cmp(&b.median));
    let mut fastest: Vec<&Row> = Vec::new();
    for peer in peers {
        if fastest.len() < PEERS && !fastest.iter().any(|row| library(row) == library(peer)) {
            fastest.push(peer);
        }
    }
    let named = |name: &'static str| own.iter().copied().filter(move |row| row.subject == name);
    named(SUBJECT).chain(named(LIMIT)).chain(fastest).collect()
}

/// A subject's name without its configuration.
fn library(row: &Row) -> &str {
    row.subject.split(" (").next().unwrap_or_default()
}

/// Shortens `rustc 1.95.0 (59807616e 2026-04-14)` to `rustc 1.95.0`.
fn short(rustc: &str) -> &str {
    rustc.split(" (").next().unwrap_or_default()
}

/// Maps nanoseconds to horizontal positions.
struct Scale {
    /// The power of ten at the left end.
    from: i32,
    /// The logarithm at the right end, which is that of the longest bar.
    to: f64,
}

impl Scale {
    fn of<'a>(rows: impl Iterator<Item = &'a Row>) -> Self {
        let (least, most) = rows
            .fold((1.0_f64, 10.0_f64), |(least, most), row| (least.min(row.median), most.max(row.median)));
        // A time below a tenth of a nanosecond is drawn as a tenth.
        Self { from: (least.log10().floor() as i32).max(-1), to: most.log10() }
    }

    fn x(&self, ns: f64) -> f64 {
        let from = f64::from(self.from);
        let part = (ns.log10() - from) / (self.to - from);
        LEFT + (RIGHT - LEFT) * part.clamp(0.0, 1.0)
    }
}

struct Svg(String);

impl Svg {
    fn new(height: f64) -> Self {
        let size = format!("width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\"");
        Self(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" {size} role=\"img\" aria-label=\"Time per operation of throughline and its peers\">\n\
             <style>{STYLE}</style>\n\
             <rect class=\"card\" x=\".5\" y=\".5\" width=\"{}\" height=\"{}\" rx=\"8\"/>\n",
            WIDTH - 1.0,
            height - 1.0
        ))
    }

    fn finish(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }

    fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(self.0, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
    }

    fn rect(&mut self, class: &str, x: f64, y: f64, width: f64) {
        let _ = writeln!(
            self.0,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\" rx=\"1.5\"/>"
        );
    }

    fn line(&mut self, class: &str, x: f64, from: f64, to: f64) {
        let _ = writeln!(
            self.0,
            "<line class=\"{class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{from:.1}\" y2=\"{to:.1}\"/>"
        );
    }

    fn legend(&mut self, y: f64) {
        for (x, class, name) in [
            (20.0, "mine", "throughline"),
            (130.0, "limit", "limit: the least work that could do it"),
            (392.0, "bar", "peers, fastest first"),
        ] {
            self.rect(class, x, y - BAR + 1.0, 16.0);
            self.text(x + 22.0, y, "", name);
        }
        self.line("budget", 556.0, y - BAR - 1.0, y + 3.0);
        self.text(564.0, y, "", "budget");
    }

    fn grid(&mut self, scale: &Scale, top: f64, bottom: f64) {
        for power in scale.from..=scale.to.floor() as i32 {
            let x = scale.x(10.0_f64.powi(power));
            self.line("grid", x, top, bottom);
            for y in [top - 5.0, bottom + 15.0] {
                self.text(x, y, "muted mid", &tick(power));
            }
        }
    }

    fn bar(&mut self, row: &Row, scale: &Scale, y: f64) {
        let (bar, name) = match row.subject.as_str() {
            SUBJECT => ("mine", "end ours"),
            LIMIT => ("limit", "end muted"),
            _ => ("bar", "end"),
        };
        let (end, base) = (scale.x(row.median), y + BAR - 1.5);
        self.text(LEFT - 8.0, base, name, &row.subject);
        self.rect(bar, LEFT, y, (end - LEFT).max(1.0));
        let mut after = end;
        if let Some(budget) = row.budget {
            let x = scale.x(budget);
            self.line("budget", x, y - 2.0, y + BAR + 2.0);
            // If the budget's mark would cross the figure, draw the figure to the right of the mark.
            if x > end - 2.0 && x < end + 60.0 {
                after = x;
            }
        }
        let class = if row.subject == SUBJECT { "ours" } else { "" };
        self.text(after + 6.0, base, class, &figure(row.median));
    }
}

/// `100 ns`, `1 µs`.
fn tick(power: i32) -> String {
    match power {
        ..0 => format!("{} ns", 10.0_f64.powi(power)),
        0..3 => format!("{} ns", 10_u32.pow(power.unsigned_abs())),
        _ => format!("{} µs", 10_u32.pow(power.unsigned_abs() - 3)),
    }
}

fn figure(ns: f64) -> String {
    match ns {
        ..10.0 => format!("{ns:.2} ns"),
        ..100.0 => format!("{ns:.1} ns"),
        _ => format!("{ns:.0} ns"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Machine;

    fn row(path: &str, subject: &str, threads: u32, median: f64) -> Row {
        Row::new(path, subject, "x86_64", threads, Unit::Ns, median, median)
    }

    #[test]
    fn a_library_is_drawn_once_in_its_fastest_configuration() {
        let rows = [
            row("span", LIMIT, 1, 19.0),
            row("span", SUBJECT, 1, 20.0),
            row("span", SUBJECT, 2, 10.0),
            row("span", "puffin", 1, 60.0),
            row("span", "puffin (TSC)", 1, 21.0),
            row("span", "fastrace", 1, 40.0),
            row("span", "throughline (slow)", 1, 30.0),
            row("counter", "puffin", 1, 1.0),
        ];
        let names: Vec<&str> = chosen(&rows, "span").iter().map(|row| row.subject.as_str()).collect();
        assert_eq!(names, [SUBJECT, LIMIT, "puffin (TSC)", "fastrace"]);
    }

    #[test]
    fn the_scale_is_logarithmic_and_bounded() {
        let rows = [row("span", SUBJECT, 1, 0.2), row("span", "a", 1, 1_000.0)];
        let scale = Scale::of(rows.iter());
        assert_eq!((scale.from, scale.to), (-1, 3.0));
        assert_eq!((scale.x(0.1), scale.x(1_000.0)), (LEFT, RIGHT));
        assert_eq!((scale.x(0.0), scale.x(1e9)), (LEFT, RIGHT));
        assert!((scale.x(10.0) - (LEFT + RIGHT) / 2.0).abs() < 1e-9);
        assert_eq!([-1, 0, 2, 3, 4].map(tick), ["0.1 ns", "1 ns", "100 ns", "1 µs", "10 µs"]);
    }

    #[test]
    fn every_figure_and_its_budget_is_in_the_picture() {
        let machine = Machine {
            date: "2026-11-21".into(),
            cpu: "a & b".into(),
            rustc: "rustc 1.95.0 (x)".into(),
            target: String::new(),
        };
        let rows = vec![row("counter", SUBJECT, 1, 0.34), row("counter", "prometheus", 1, 123.4)];
        let svg = Report::new(&machine, rows).to_svg();
        for text in
            ["a &amp; b, rustc 1.95.0, 2026-11-21", ">0.34 ns<", ">123 ns<", ">prometheus<", ">Counter<"]
        {
            assert!(svg.contains(text), "{text} in {svg}");
        }
        // The mark appears once in the legend and once at the bar.
        assert_eq!(svg.matches("class=\"budget\"").count(), 2);
    }
}
