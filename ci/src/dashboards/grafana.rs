//! Dashboards as Grafana imports them.

use serde_json::{Value, json};

use super::model::{Board, COLUMNS, Panel, Query, Row, Unit, View};

/// The matchers that stand for `$s`: what is chosen at the top of the dashboard.
const MATCHERS: &str = "job=~\"$job\", instance=~\"$instance\"";
/// The window that stands for `$r`, which Grafana makes fit to the time that is shown and to the interval of scrapes.
const WINDOW: &str = "$__rate_interval";

/// The JSON of a dashboard.
#[must_use]
pub fn dashboard(board: &Board) -> Value {
    json!({
        "uid": board.id,
        "title": board.title,
        "description": board.about,
        "tags": ["throughline"],
        "timezone": "browser",
        "editable": true,
        "graphTooltip": 1,
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "annotations": {"list": []},
        "links": [{
            "title": "Throughline", "type": "dashboards", "tags": ["throughline"], "icon": "external link", "tooltip": "", "url": "",
            "asDropdown": true, "includeVars": true, "keepTime": true, "targetBlank": false,
        }],
        "templating": {"list": variables(board.found_by)},
        "panels": panels(board.rows),
    })
}

/// What is chosen at the top: the data source, the services, and their instances.
fn variables(found_by: &str) -> Value {
    let of_query = |name: &str, label: &str, query: String| {
        json!({
            "name": name, "label": label, "type": "query", "datasource": source(), "definition": query,
            "query": {"query": query, "refId": name}, "refresh": 2, "sort": 1, "multi": true, "includeAll": true,
            "current": {"text": "All", "value": "$__all"},
        })
    };
    json!([
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
        of_query("job", "Service", format!("label_values({found_by}, job)")),
        of_query("instance", "Instance", format!("label_values({found_by}{{job=~\"$job\"}}, instance)")),
    ])
}

fn source() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

fn panels(rows: &[Row]) -> Vec<Value> {
    let (mut panels, mut y) = (Vec::new(), 0);
    for row in rows {
        let id = panels.len() + 1;
        panels.push(json!({
            "id": id, "type": "row", "title": row.title, "collapsed": false, "panels": [],
            "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1},
        }));
        y += 1;
        let (mut x, mut line) = (0, 0);
        for it in row.panels {
            if x + it.width > COLUMNS {
                (x, y, line) = (0, y + line, 0);
            }
            let id = panels.len() + 1;
            panels.push(panel(it, id, (x, y)));
            (x, line) = (x + it.width, line.max(height(it.view)));
        }
        y += line;
    }
    panels
}

/// How high a panel is, in rows of Grafana's grid.
fn height(view: View) -> u32 {
    match view {
        View::Number => 4,
        View::Graph | View::Table => 8,
        View::Nodes => 14,
    }
}

fn panel(panel: &Panel, id: usize, (x, y): (u32, u32)) -> Value {
    let (kind, options, custom) = match panel.view {
        View::Graph => (
            "timeseries",
            json!({
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }),
            json!({"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "never"}),
        ),
        View::Number => (
            "stat",
            json!({
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
                "colorMode": "value", "graphMode": "area", "justifyMode": "auto", "orientation": "auto", "textMode": "auto",
                "wideLayout": true, "showPercentChange": false, "percentChangeColorMode": "standard",
            }),
            json!({}),
        ),
        View::Table => (
            "table",
            json!({"showHeader": true, "frameIndex": 0}),
            json!({"align": "auto", "inspect": false}),
        ),
        View::Nodes => ("nodeGraph", json!({}), json!({})),
    };
    let mut made = json!({
        "id": id,
        "type": kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": source(),
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": height(panel.view)},
        "fieldConfig": {"defaults": {"unit": unit(panel.unit), "min": 0, "custom": custom}, "overrides": []},
        "options": options,
        "targets": panel.queries.iter().zip('A'..).map(|(query, id)| target(query, id, panel)).collect::<Vec<_>>(),
    });
    let transformations = transformations(panel);
    if !transformations.is_empty() {
        made["transformations"] = transformations.into();
    }
    if may_be_negative(panel) {
        // The axis finds its own bounds.
        made["fieldConfig"]["defaults"].as_object_mut().map(|defaults| defaults.remove("min"));
    }
    made
}

/// Whether a panel shows a difference.
fn may_be_negative(panel: &Panel) -> bool {
    panel.queries.iter().any(|query| query.expr.contains(" - "))
}

fn target(query: &Query, id: char, panel: &Panel) -> Value {
    let is_table = matches!(panel.view, View::Table | View::Nodes);
    let expr = query.with(MATCHERS, WINDOW);
    json!({
        "refId": id.to_string(),
        "datasource": source(),
        "legendFormat": query.legend,
        "format": if is_table { "table" } else { "time_series" },
        "instant": is_table,
        "range": !is_table,
        // Dots that lead to traces.
        "exemplar": !is_table && expr.contains("_bucket{"),
        "expr": expr,
    })
}

/// What Grafana does with the columns of a table before it draws them.
fn transformations(panel: &Panel) -> Vec<Value> {
    match panel.view {
        View::Graph | View::Number => Vec::new(),
        View::Table => vec![
            json!({"id": "organize", "options": {"excludeByName": {"Time": true}, "indexByName": {}, "renameByName": {"Value": panel.title}}}),
            json!({"id": "sortBy", "options": {"fields": {}, "sort": [{"field": panel.title, "desc": true}]}}),
        ],
        // The number that is written in a circle and at an arrow.
        View::Nodes => vec![json!({"id": "organize", "options": {
            "excludeByName": {"Time": true}, "indexByName": {}, "renameByName": {"Value #A": "mainstat", "Value #B": "mainstat"},
        }})],
    }
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Count => "short",
        Unit::PerSecond => "cps",
        Unit::PerMinute => "cpm",
        Unit::Share => "percentunit",
        Unit::Seconds => "s",
        Unit::Bytes => "bytes",
        Unit::BytesPerSecond => "Bps",
    }
}

/// Panels of a dashboard that lie outside of the grid or on one another, by their titles. Grafana's schema says nothing
/// about that.
#[must_use]
pub fn misplaced(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().map_or(&[][..], Vec::as_slice);
    let place = |panel: &Value| ["x", "y", "w", "h"].map(|it| panel["gridPos"][it].as_u64().unwrap_or(0));
    let mut found = Vec::new();
    for (at, one) in panels.iter().enumerate() {
        let [x, y, w, h] = place(one);
        let overlaps = |other: &&Value| {
            let [x2, y2, w2, h2] = place(other);
            x < x2 + w2 && x2 < x + w && y < y2 + h2 && y2 < y + h
        };
        let is_outside = w == 0 || h == 0 || x + w > u64::from(COLUMNS);
        if is_outside || panels[..at].iter().any(|other| overlaps(&other)) {
            found.push(one["title"].to_string());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboards::boards;

    #[test]
    fn no_panel_lies_on_another_or_outside() {
        for board in boards::ALL {
            assert_eq!(misplaced(&dashboard(board)), [] as [String; 0], "{}", board.title);
        }
        let place = |x, y, w, h| json!({"title": "p", "gridPos": {"x": x, "y": y, "w": w, "h": h}});
        for (other, is_found) in [
            (place(8, 0, 8, 8), false),
            (place(7, 7, 8, 8), true),
            (place(20, 0, 5, 8), true),
            (place(8, 0, 8, 0), true),
        ] {
            let board = json!({"panels": [place(0, 0, 8, 8), other]});
            assert_eq!(!misplaced(&board).is_empty(), is_found, "{board}");
        }
    }

    #[test]
    fn ids_of_panels_and_titles_within_a_row_are_distinct() {
        for board in boards::ALL {
            let made = dashboard(board);
            let mut ids: Vec<_> =
                made["panels"].as_array().unwrap().iter().map(|it| it["id"].as_u64().unwrap()).collect();
            let all = ids.len();
            ids.dedup();
            assert_eq!(ids.len(), all);
            for row in board.rows {
                let mut titles: Vec<_> = row.panels.iter().map(|it| it.title).collect();
                titles.sort_unstable();
                titles.dedup();
                assert_eq!(titles.len(), row.panels.len(), "{}: {}", board.title, row.title);
            }
        }
    }

    #[test]
    fn every_expression_is_about_the_chosen_services() {
        for panel in boards::ALL.iter().flat_map(|it| it.rows).flat_map(|it| it.panels) {
            for query in panel.queries {
                // Each selector of a metric ends with the chosen services.
                let selectors = query.expr.matches('{').count();
                assert_eq!(query.expr.matches("$s}").count(), selectors, "{}: {}", panel.title, query.expr);
            }
        }
    }
}
