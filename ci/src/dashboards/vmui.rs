//! Dashboards for vmui, the pages of VictoriaMetrics: files for its option `-vmui.customDashboardsPath`.

use serde_json::{Value, json};

use super::model::{Board, COLUMNS, Panel, Unit, View};

/// Columns of vmui's grid.
const OWN_COLUMNS: u32 = 12;

/// The JSON of a dashboard. It shows all services, because vmui has no list to choose from.
#[must_use]
pub fn dashboard(board: &Board) -> Value {
    let rows = board
        .rows
        .iter()
        .map(|row| json!({"title": row.title, "panels": row.panels.iter().map(panel).collect::<Vec<_>>()}));
    json!({"title": board.title, "filename": board.id, "rows": rows.collect::<Vec<_>>()})
}

fn panel(panel: &Panel) -> Value {
    // vmui draws lines alone: of nodes and arrows it shows the arrows.
    let queries = if panel.view == View::Nodes { &panel.queries[1..] } else { panel.queries };
    json!({
        "title": panel.title,
        "description": panel.about,
        "unit": unit(panel.unit),
        "expr": queries.iter().map(|query| expression(&query.with("", "$__interval"))).collect::<Vec<_>>(),
        "alias": queries.iter().map(|query| query.legend).collect::<Vec<_>>(),
        "showLegend": true,
        "width": (panel.width * OWN_COLUMNS / COLUMNS).max(3),
    })
}

/// The expression in MetricsQL. Its `changes` counts the beginning of a series too.
fn expression(promql: &str) -> String {
    promql.replace("{}", "").replace("changes(", "changes_prometheus(")
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Count | Unit::Share => "",
        Unit::PerSecond => "/s",
        Unit::PerMinute => "/min",
        Unit::Seconds => "s",
        Unit::Bytes => "B",
        Unit::BytesPerSecond => "B/s",
    }
}
