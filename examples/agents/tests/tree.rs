//! Everything of a run is one tree, and everything in it carries the run's ids.

use agents_example::model::{self, Failure};
use agents_example::{Run, answer};
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use throughline::adapter::record::NAME_FIELD;
use throughline::{SpanId, Status, TraceId, Value};
use throughline_std::view::{LogView, SpanView};
use throughline_std::{Config, Deadline, ExportError, Exporter, message};

#[derive(Clone, Debug)]
struct Kept {
    name: String,
    trace: Option<TraceId>,
    span: Option<SpanId>,
    parent: Option<SpanId>,
    status: Status,
    fields: BTreeMap<String, String>,
}

/// Keeps spans and log records.
#[derive(Clone, Default)]
struct Keep(Arc<Mutex<(Vec<Kept>, Vec<Kept>)>>);

fn fields<'a>(fields: impl Iterator<Item = (&'a str, Value<'a>)>) -> BTreeMap<String, String> {
    let text = |value| match value {
        Value::Str { text, .. } => text.to_owned(),
        Value::U64(n) => n.to_string(),
        other => format!("{other:?}"),
    };
    fields
        .filter(|(_, value)| *value != Value::Absent)
        .map(|(key, value)| (key.to_owned(), text(value)))
        .collect()
}

impl Exporter for Keep {
    fn span(&mut self, span: &SpanView<'_>) {
        let mut fields = fields(span.fields.clone());
        // A name that is known only at run time.
        let name = fields.remove(NAME_FIELD).unwrap_or_else(|| span.name.to_owned());
        self.0.lock().unwrap().0.push(Kept {
            name,
            trace: Some(span.trace_id),
            span: Some(span.span_id),
            parent: span.parent_span_id,
            status: span.status,
            fields,
        });
    }

    fn log(&mut self, log: &LogView<'_>) {
        self.0.lock().unwrap().1.push(Kept {
            name: message::render(log.message, log.fields.clone()).into_owned(),
            trace: log.span.map(|(trace, _)| trace),
            span: log.span.map(|(_, span)| span),
            parent: None,
            status: Status::Unset,
            fields: fields(log.fields.clone()),
        });
    }

    fn flush(&mut self, _: &Deadline) -> Result<(), ExportError> {
        Ok(())
    }
}

/// The tree below a span: the names, with that of the agent, and children in alphabetical order.
fn tree(spans: &[Kept], parent: Option<SpanId>) -> Vec<String> {
    let children = spans.iter().filter(|span| span.parent == parent);
    let mut all: Vec<String> = children
        .map(|span| {
            let agent = if span.name == "agent.run" {
                format!(" {}", span.fields["agent.name"])
            } else {
                String::new()
            };
            let below = tree(spans, span.span);
            let below = if below.is_empty() { String::new() } else { format!("({})", below.join(", ")) };
            format!("{}{agent}{below}", span.name)
        })
        .collect();
    all.sort();
    all
}

/// The only test of this process that records.
#[test]
fn a_run_is_one_tree_and_all_of_it_has_the_ids_of_the_run() {
    let keep = Keep::default();
    let config = Config::new("agents").without_otlp().exporter("keep", keep.clone());
    let guard = throughline_std::init(&config).unwrap();
    let run = |invocation, question| Run { invocation, session: "s-3", user: "ada", question };
    // Two runs at the same time, on one thread.
    let (first, second) = model::run(async {
        let both =
            (tokio::spawn(answer(run("i-1", "a red line"))), tokio::spawn(answer(run("i-2", "a busy line"))));
        (both.0.await.unwrap(), both.1.await.unwrap())
    });
    assert_eq!((first.as_deref(), second), (Ok("a page about a red line"), Err(Failure::RateLimited)));
    assert!(guard.shutdown(Duration::from_secs(30)).complete);
    let (spans, logs) = keep.0.lock().unwrap().clone();

    let of = |invocation: &str| -> Vec<Kept> {
        spans.iter().filter(|span| span.fields["invocation_id"] == invocation).cloned().collect()
    };
    let (first, second) = (of("i-1"), of("i-2"));
    assert_eq!(first.len() + second.len(), spans.len());
    let writer = "agent.run writer(llm.generate(llm.stream))";
    let planner = format!(
        "agent.run planner(agent.prepare_request, {}, llm.generate(http.request), tool.execute(http.request))",
        writer
    );
    let reviewer = "agent.run reviewer(llm.generate(http.request))";
    assert_eq!(tree(&first, None), [format!("runner.run({planner}, {reviewer}, session.append_event)")]);
    assert_eq!(
        tree(&second, None),
        ["runner.run(agent.run planner(agent.prepare_request, llm.generate(http.request)))"]
    );
    assert!(first.iter().all(|span| span.trace == first[0].trace && span.status == Status::Unset));
    let failed: Vec<_> = second.iter().filter(|span| span.fields.contains_key("error.type")).collect();
    assert_eq!(failed.len(), 4, "all but the preparation failed");
    assert!(
        failed.iter().all(|span| span.status == Status::Error && span.fields["error.type"] == "rate_limited")
    );

    let call = first
        .iter()
        .find(|span| span.name == "llm.generate" && span.fields.contains_key("llm.cost"))
        .unwrap();
    for (key, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "local"),
        ("gen_ai.request.model", "tiny-1"),
        ("gen_ai.usage.input_tokens", "10"),
        ("agent.name", "planner"),
    ] {
        assert_eq!(call.fields[key], value, "{key}");
    }

    // Every log record has the ids of its run, of its agent if there is one, and of a span of that run.
    assert!(logs.iter().any(|log| log.name == "the word red"));
    for log in &logs {
        let spans = if log.fields["invocation_id"] == "i-1" { &first } else { &second };
        let span = spans.iter().find(|span| span.span == log.span).expect("a span of the run");
        assert_eq!(
            (log.trace, log.fields["session_id"].as_str(), log.fields["user_id"].as_str()),
            (span.trace, "s-3", "ada")
        );
        assert_eq!(log.fields.get("agent.name"), span.fields.get("agent.name"), "{log:?}");
    }
}

#[test]
fn one_file_configures_the_terminal_and_files() {
    let folder = std::env::temp_dir().join(format!("throughline-agents-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (log, otlp) = (folder.join("agents.log"), folder.join("agents.otlp.jsonl"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_agents-example"));
    for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("OTEL_") || key == "RUST_LOG") {
        command.env_remove(key);
    }
    let output = command.env("LOG_FILE", &log).env("OTLP_FILE", &otlp).output().unwrap();
    let drawn = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && drawn.contains("runner.run"), "{drawn}");
    let lines = std::fs::read_to_string(&log).unwrap();
    assert!(lines.lines().count() > 5, "{lines}");
    for line in lines.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line.to_string().contains("i-7") && line["trace_id"].is_string(), "{line}");
    }
    assert!(std::fs::read_to_string(&otlp).unwrap().contains("gen_ai.client.token.usage"));
    std::fs::remove_dir_all(&folder).unwrap();
}
