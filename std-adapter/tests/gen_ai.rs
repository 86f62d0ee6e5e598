//! Agents and models: names, attributes and metrics by the conventions, bounded whatever a model makes up.

mod support;

use std::collections::BTreeMap;
use std::task::Poll;
use std::time::Duration;
use support::in_own_process;
use support::keep::{All, Keep};
use throughline::adapter::metrics::{self, Reading};
use throughline::adapter::record::NAME_FIELD;
use throughline_std::gen_ai::{self, AgentType, Naming};
use throughline_std::{Config, Correlation};

/// The counts of a metric's series, by their labels: of a histogram, how many values.
fn counts(name: &str) -> BTreeMap<String, i64> {
    let mut all = BTreeMap::new();
    metrics::for_each(|series| {
        let Some(blob) = series.blob().filter(|blob| blob.name == name) else { return };
        let labels: Vec<&str> = blob.labels().map(|(_, value)| value).collect();
        let count = match series.read() {
            Reading::Counter(n) => n as i64,
            Reading::GaugeInt(n) => n,
            Reading::Histogram(read) => {
                let buckets: u64 = (0..series.bucket_count()).map(|at| series.bucket(at)).sum();
                (read.zeros + buckets) as i64
            }
            other => panic!("{other:?}"),
        };
        *all.entry(labels.join(",")).or_insert(0) += count;
    });
    all
}

fn expected<const N: usize>(counts: [(&str, i64); N]) -> BTreeMap<String, i64> {
    counts.into_iter().map(|(labels, count)| (labels.to_owned(), count)).collect()
}

fn recorded(test: &str, work: impl AsyncFnOnce(), look: impl FnOnce(&All)) {
    in_own_process(test, || {
        let keep = Keep::default();
        let config = Config::new("svc").without_otlp().exporter("keep", keep.clone());
        let guard = throughline_std::init(&config).unwrap();
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work());
        assert!(guard.shutdown(Duration::from_secs(30)).complete);
        look(&keep.take());
    });
}

#[test]
fn operations_are_counted_by_both_sets_of_names() {
    recorded(
        "operations_are_counted_by_both_sets_of_names",
        async || {
            let ok = || async { Ok::<u64, std::fmt::Error>(7) };
            let agent = gen_ai::agent("planner").of_type(AgentType::Sequential);
            let work = async {
                assert_eq!(counts("agent.active"), expected([("planner", 1)]));
                assert_eq!(Correlation::current().get("agent.name"), Some("planner"));
                let call = gen_ai::llm("openai", "gpt-4o").top_p(0.5).server("api.example", 443);
                let answer = call.run_with(ok(), |call, tokens| {
                    call.chunk();
                    call.chunk();
                    call.usage(*tokens, 3);
                    call.cost(0.25);
                    call.response_model("gpt-4o-mini");
                });
                answer.await?;
                _ = gen_ai::tool("search").run(async { Err::<(), _>(std::io::Error::other("secret")) }).await;
                let refused = |_: &std::fmt::Error| "rate_limited";
                let call = gen_ai::llm("openai", "gpt-4o").operation("embeddings");
                call.run_classified(async { Err::<u64, _>(std::fmt::Error) }, |_, _| (), refused).await
            };
            assert!(agent.run(work).await.is_err());
            drop(gen_ai::session("append_event").events(3).begin());
            drop(Box::pin(gen_ai::workflow("triage").run(ok())));
            drop(gen_ai::workflow("triage").begin());

            assert_eq!(counts("agent.active"), expected([("planner", 0)]));
            assert_eq!(counts("agent.invocations.total"), expected([("planner", 1)]));
            assert_eq!(counts("agent.duration.seconds"), expected([("planner", 1)]));
            assert_eq!(counts("gen_ai.invoke_agent.duration"), expected([("planner,Error", 1)]));
            assert_eq!(counts("llm.calls.total"), expected([("openai,gpt-4o", 2)]));
            assert_eq!(
                counts("llm.tokens.total"),
                expected([("openai,gpt-4o,input", 7), ("openai,gpt-4o,output", 3)])
            );
            assert_eq!(
                counts("gen_ai.client.operation.duration"),
                expected([("chat,openai,gpt-4o", 1), ("embeddings,openai,gpt-4o,rate_limited", 1)])
            );
            assert_eq!(
                counts("gen_ai.client.operation.time_to_first_chunk"),
                expected([("chat,openai,gpt-4o", 1)])
            );
            assert_eq!(counts("gen_ai.client.token.usage").len(), 2);
            assert_eq!(counts("llm.cost"), expected([("openai,gpt-4o", 1)]));
            assert_eq!(counts("llm.provider.health"), expected([("openai", 0)]), "the last call failed");
            assert_eq!(counts("tool.executions.total"), expected([("search", 1)]));
            assert_eq!(counts("session.events.count"), expected([("", 1)]));
            assert_eq!(
                counts("errors.total"),
                expected([("Error,planner", 2), ("rate_limited,planner", 1)]),
                "the agent's and the tool's, then the model's"
            );
            assert_eq!(counts("gen_ai.workflow.duration"), expected([("triage", 1)]), "one did not begin");
        },
        |all| {
            let agent = all.span("agent.run");
            assert_eq!((agent.field("agent.type"), agent.field("error.type")), ("sequential", "Error"));
            let call = all.spans.iter().find(|span| span.field("gen_ai.operation.name") == "chat").unwrap();
            for (key, value) in [
                ("gen_ai.system", "openai"),
                ("gen_ai.request.model", "gpt-4o"),
                ("gen_ai.response.model", "gpt-4o-mini"),
                ("gen_ai.usage.input_tokens", "7"),
                ("server.port", "443"),
                ("agent.name", "planner"),
            ] {
                assert_eq!(call.field(key), value, "{key}");
            }
            assert_eq!(call.parent, agent.span);
            let text = format!("{all:?}");
            assert!(!text.contains("secret"), "the texts of errors are not recorded");
        },
    );
}

#[test]
fn the_polls_of_an_operation_are_its_busy_time() {
    recorded(
        "the_polls_of_an_operation_are_its_busy_time",
        async || {
            let work = async {
                let mut tool = Box::pin(gen_ai::tool("rank").run(async {
                    std::thread::sleep(Duration::from_millis(5));
                    tokio::task::yield_now().await;
                    Ok::<_, std::fmt::Error>(())
                }));
                let waits = std::future::poll_fn(|cx| Poll::Ready(tool.as_mut().poll(cx).is_pending())).await;
                assert!(waits);
                // What lies between the polls of an operation is not busy.
                std::thread::sleep(Duration::from_millis(50));
                tool.await
            };
            gen_ai::agent("planner").run(work).await.unwrap();
        },
        |all| {
            let busy = |span: &str| Duration::from_nanos(all.span(span).busy.unwrap());
            let [agent, tool] = [busy("agent.run"), busy("tool.execute")];
            assert!(tool >= Duration::from_millis(5), "{tool:?}");
            assert!(agent >= tool + Duration::from_millis(50), "{agent:?} {tool:?}");
        },
    );
}

#[test]
fn a_dropped_future_cancels_its_operation() {
    recorded(
        "a_dropped_future_cancels_its_operation",
        async || {
            let mut running = Box::pin(gen_ai::tool("search").run(std::future::pending::<Result<(), ()>>()));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(running.as_mut().poll(&mut context).is_pending());
            drop(running);
            assert_eq!(counts("gen_ai.execute_tool.duration"), expected([("search,cancelled", 1)]));
        },
        |all| assert_eq!(all.span("tool.execute").field("error.type"), "cancelled"),
    );
}

#[test]
fn spans_can_have_the_names_of_the_conventions() {
    recorded(
        "spans_can_have_the_names_of_the_conventions",
        async || {
            gen_ai::name_spans(Naming::Conventions);
            drop(gen_ai::runner("support").begin());
            drop(gen_ai::agent("planner").begin());
            drop(gen_ai::llm("anthropic", "claude").begin());
            drop(gen_ai::tool("search").begin());
        },
        |all| {
            let mut names: Vec<&str> = all.spans.iter().map(|span| span.field(NAME_FIELD)).collect();
            names.sort_unstable();
            assert_eq!(
                names,
                ["chat claude", "execute_tool search", "invoke_agent planner", "invoke_workflow support"]
            );
        },
    );
}

#[test]
fn names_that_a_model_makes_up_are_counted_together() {
    recorded(
        "names_that_a_model_makes_up_are_counted_together",
        async || {
            for n in 0..2_000 {
                drop(gen_ai::tool(&format!("made up {n}")).begin());
            }
            let counts = counts("tool.executions.total");
            assert_eq!(counts.values().sum::<i64>(), 2_000);
            assert!(counts.len() < 513 && counts["true"] > 1_000, "{}", counts.len());
        },
        |_| {},
    );
}
