//! What a dashboard is, before it becomes a file of one program or another.
//!
//! An expression is PromQL with two words in it: `$s` stands for the matchers of the chosen services, and `$r` for the
//! window of rates. Each kind of file has its own words for them.

/// A dashboard.
#[derive(Clone, Copy, Debug)]
pub struct Board {
    /// Name of its files, and its id in Grafana.
    pub id: &'static str,
    /// Its title.
    pub title: &'static str,
    /// What it answers, in one sentence.
    pub about: &'static str,
    /// The metric by which its services are found, for the list of services to choose from.
    pub found_by: &'static str,
    /// Its rows.
    pub rows: &'static [Row],
}

/// Panels under one heading.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The heading.
    pub title: &'static str,
    /// The panels, from left to right, and then in the next line.
    pub panels: &'static [Panel],
}

/// A panel.
#[derive(Clone, Copy, Debug)]
pub struct Panel {
    /// Its title.
    pub title: &'static str,
    /// What it shows and when to worry. Grafana shows it behind an "i".
    pub about: &'static str,
    /// The unit of its values.
    pub unit: Unit,
    /// How it is drawn.
    pub view: View,
    /// Its share of the width, of [`COLUMNS`].
    pub width: u32,
    /// What it shows.
    pub queries: &'static [Query],
}

/// An expression, and the name of each of its series.
#[derive(Clone, Copy, Debug)]
pub struct Query {
    /// PromQL with `$s` and `$r`.
    pub expr: &'static str,
    /// The name of a series; `{{label}}` stands for the value of a label.
    pub legend: &'static str,
}

/// How a panel is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Lines over time.
    Graph,
    /// One large number for each series.
    Number,
    /// A table of the values now, the greatest first.
    Table,
    /// Circles and arrows between them: the first query has the circles, with the label `id`, the second has the arrows, with
    /// the labels `id`, `source` and `target`.
    Nodes,
}

/// The unit of a panel's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// Things in a second.
    PerSecond,
    /// Things in a minute.
    PerMinute,
    /// A share, from 0 to 1.
    Share,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Bytes in a second.
    BytesPerSecond,
}

/// Columns of Grafana's grid.
pub const COLUMNS: u32 = 24;

/// Lines of a third of the width.
pub const fn graph(title: &'static str, unit: Unit, about: &'static str, queries: &'static [Query]) -> Panel {
    Panel { title, about, unit, view: View::Graph, width: COLUMNS / 3, queries }
}

/// A large number.
pub const fn number(
    title: &'static str,
    unit: Unit,
    about: &'static str,
    queries: &'static [Query],
) -> Panel {
    Panel { title, about, unit, view: View::Number, width: COLUMNS / 6, queries }
}

/// A table of half the width.
pub const fn table(title: &'static str, unit: Unit, about: &'static str, queries: &'static [Query]) -> Panel {
    Panel { title, about, unit, view: View::Table, width: COLUMNS / 2, queries }
}

/// An expression whose series are named by `legend`.
pub const fn query(expr: &'static str, legend: &'static str) -> Query {
    Query { expr, legend }
}

impl Panel {
    /// The same panel with another width.
    #[must_use]
    pub const fn wide(self, width: u32) -> Panel {
        Panel { width, ..self }
    }
}

impl Query {
    /// The expression with these matchers and this window in place of `$s` and `$r`.
    #[must_use]
    pub fn with(&self, matchers: &str, window: &str) -> String {
        // Spaces after a line's end are for the reader of the source.
        let one_line = self.expr.split_whitespace().collect::<Vec<_>>().join(" ");
        one_line.replace("$s", matchers).replace("$r", window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_words_are_replaced_and_lines_are_joined() {
        let q = query("sum(\n    rate(a_total{b=\"c\", $s}[$r])\n)", "");
        assert_eq!(q.with("job=\"x\"", "5m"), "sum( rate(a_total{b=\"c\", job=\"x\"}[5m]) )");
    }
}
