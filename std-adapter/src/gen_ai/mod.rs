//! Agents and models: spans and metrics for runners, workflows, sessions, agents, tools and calls of models, with the
//! attributes of OpenTelemetry's GenAI conventions. It needs no client library, and never records what is said to a model or by it.
//!
//! ```
//! use throughline_std::gen_ai;
//! # struct Answer { text: String, input: u64, output: u64 }
//! # async fn ask(_: &str) -> Result<Answer, std::io::Error> { Ok(Answer { text: "4".into(), input: 12, output: 3 }) }
//! # async fn search(_: &str) -> Result<String, std::io::Error> { Ok("…".into()) }
//!
//! async fn answer(question: &str) -> Result<String, std::io::Error> {
//!     gen_ai::runner("support").invocation("i-7").session("s-3").user("ada").run(async {
//!         gen_ai::agent("planner").run(async {
//!             let found = gen_ai::tool("search").call_id("c-1").run(search(question)).await?;
//!             let call = gen_ai::llm("openai", "gpt-4o").temperature(0.2).max_tokens(300);
//!             let answer = call.run_with(ask(&found), |call, answer| call.usage(answer.input, answer.output)).await?;
//!             Ok(answer.text)
//!         }).await
//!     }).await
//! }
//! # drop(answer("2 + 2?"));
//! ```
//!
//! | operation | span; by the conventions | attributes | metrics |
//! |---|---|---|---|
//! | [`runner`] | `runner.run`; `invoke_workflow NAME` | `invocation_id`, `session_id`, `user_id`, `gen_ai.conversation.id` | |
//! | [`workflow`] | `workflow.run`; `invoke_workflow NAME` | `gen_ai.workflow.name` | `gen_ai.workflow.duration` |
//! | [`session`] | `session.OPERATION`; the same | `session.events.count` | `session.events.count` |
//! | [`agent`] | `agent.run`; `invoke_agent NAME` | `agent.name`, `agent.type`, `gen_ai.agent.name` | `agent.invocations.total`, `agent.duration.seconds`, `agent.active`, `gen_ai.invoke_agent.duration` |
//! | [`llm`] | `llm.generate`; `chat MODEL` | `gen_ai.provider.name`, `gen_ai.system`, `gen_ai.request.*`, `gen_ai.usage.*`, `gen_ai.response.*` | `llm.calls.total`, `llm.duration.seconds`, `llm.tokens.total`, `llm.cost`, `llm.provider.health`, `gen_ai.client.operation.duration`, `gen_ai.client.token.usage`, `gen_ai.client.operation.time_to_first_chunk` |
//! | [`tool`] | `tool.execute`; `execute_tool NAME` | `gen_ai.tool.name`, `gen_ai.tool.call.id` | `tool.executions.total`, `tool.duration.seconds`, `gen_ai.execute_tool.duration` |
//!
//! Every one of them has `gen_ai.operation.name` where the conventions have it, counts its failures in `errors.total` by class and agent,
//! and its span has `error.type`. The identity of a runner, and the name of an agent, are correlation fields: everything within has them, log
//! records of any crate included; see [`correlate`](crate::correlate).
//!
//! What the process uses meanwhile are the gauges `memory.current.bytes`, `memory.peak.bytes` and `cpu.utilization.percent`, and what each span has used
//! are its attributes `resource.cpu.micros`, `resource.memory.bytes` and `resource.memory.peak`: with
//! [`Config::resources_of_spans`](crate::Config#method.resources_of_spans) and the feature `profile`.
//!
//! # Names of spans
//!
//! The spans have the names of the column's first part, so that all runs of agents have one name. With `OTEL_SEMCONV_STABILITY_OPT_IN`
//! containing `gen_ai_latest_experimental`, or after [`name_spans`], they have those of the conventions. The attributes are the same.
//!
//! # Cost
//!
//! A span, and 3 to 6 metrics, each found by a hash of its labels: some microseconds for an operation. All these metrics have at most 512
//! series together; what is beyond is counted in the overflow series of its metric (`otel.metric.overflow`), so that names that a model
//! makes up take no memory.

mod running;
mod series;

pub use llm::{Llm, llm};
pub use running::{Generating, Running};

use crate::propagation::Correlation;
use running::{Of, Start};
use std::any::type_name;
use std::future::Future;
use std::sync::atomic::{AtomicU8, Ordering};
use throughline::adapter::bridge::FieldList;
use throughline::adapter::callsite::CallsiteId;

/// The callsite of a kind of spans, if it is enabled.
macro_rules! site {
    ($kind:ident $name:literal, $fields:expr) => {{
        fn callsite() -> Option<CallsiteId> {
            throughline::__enabled!(
                Info,
                throughline::adapter::callsite::Meta {
                    kind: throughline::adapter::callsite::Kind::Span,
                    level: throughline::Level::Info as u8,
                    span_kind: throughline::SpanKind::$kind,
                    name: $name,
                    target: "throughline_std::gen_ai",
                    fields: $fields,
                    ..throughline::adapter::callsite::Meta::EMPTY
                }
            )
        }
        callsite()
    }};
}

mod llm;

/// Where the spans' names come from; see [`name_spans`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// One name for each kind of operation, such as `agent.run`.
    Hierarchy,
    /// The names of OpenTelemetry's conventions, such as `invoke_agent planner`.
    Conventions,
}

const UNKNOWN: u8 = 0;
const HIERARCHY: u8 = 1;
const CONVENTIONS: u8 = 2;
static NAMING: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Chooses the names of the spans that begin from now on, whatever the environment says.
pub fn name_spans(naming: Naming) {
    let naming = if naming == Naming::Conventions { CONVENTIONS } else { HIERARCHY };
    NAMING.store(naming, Ordering::Relaxed);
}

fn naming() -> Naming {
    match NAMING.load(Ordering::Relaxed) {
        HIERARCHY => Naming::Hierarchy,
        CONVENTIONS => Naming::Conventions,
        _ => {
            let wanted = std::env::var("OTEL_SEMCONV_STABILITY_OPT_IN").unwrap_or_default();
            let is_in = wanted.split(',').any(|one| one.trim() == "gen_ai_latest_experimental");
            name_spans(if is_in { Naming::Conventions } else { Naming::Hierarchy });
            naming()
        }
    }
}

/// The last part of a type's path, the class of an error that was given no other.
fn class_of<E>(_: &E) -> &'static str {
    let path = type_name::<E>().split('<').next().unwrap_or_default();
    path.rsplit("::").next().filter(|name| !name.is_empty()).unwrap_or("_OTHER")
}

/// A text, or no value if it is empty.
fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// `run`, `run_classified` and `begin` of an operation.
macro_rules! operation {
    ($name:ident) => {
        impl $name<'_> {
            /// Runs a future in the operation, which ends with it. An `Err` fails the operation with the name of the error's type; its text is not recorded.
            /// A future that is dropped before it completes cancels the operation.
            ///
            /// # Errors
            ///
            /// Those of the future.
            pub fn run<T, E>(
                self,
                future: impl Future<Output = Result<T, E>>,
            ) -> impl Future<Output = Result<T, E>> {
                self.run_classified(future, class_of::<E>)
            }

            /// Like [`run`](Self::run), with the class of an error, such as [`ErrorClass::class`](throughline::ErrorClass::class).
            ///
            /// # Errors
            ///
            /// Those of the future.
            pub fn run_classified<T, E>(
                self,
                future: impl Future<Output = Result<T, E>>,
                class: impl FnOnce(&E) -> &'static str,
            ) -> impl Future<Output = Result<T, E>> {
                let start = self.start();
                async move { Running::new(start).run(future, class).await.1 }
            }

            /// Begins the operation, for code that is not one future. It ends when the returned value is dropped.
            pub fn begin(self) -> Running {
                Running::new(self.start())
            }
        }
    };
}

/// One invocation of agents for a user: what everything within belongs to. `name` is that of the application.
pub fn runner(name: &str) -> Runner<'_> {
    Runner { name, invocation: "", session: "", user: "" }
}

/// An invocation that has not begun; see [`runner`].
#[derive(Clone, Copy, Debug)]
#[must_use = "it begins with `run` or `begin`"]
pub struct Runner<'a> {
    name: &'a str,
    invocation: &'a str,
    session: &'a str,
    user: &'a str,
}

impl<'a> Runner<'a> {
    /// The id of this invocation, `invocation_id`.
    pub fn invocation(self, id: &'a str) -> Runner<'a> {
        Runner { invocation: id, ..self }
    }

    /// The id of the conversation, `session_id`.
    pub fn session(self, id: &'a str) -> Runner<'a> {
        Runner { session: id, ..self }
    }

    /// The id of the user, `user_id`.
    pub fn user(self, id: &'a str) -> Runner<'a> {
        Runner { user: id, ..self }
    }

    fn start(self) -> Start {
        let ids = [("invocation_id", self.invocation), ("session_id", self.session), ("user_id", self.user)];
        let given: Vec<_> = ids.into_iter().filter(|(_, id)| !id.is_empty()).collect();
        let mut fields = FieldList::expecting(7);
        fields.push("invoke_workflow");
        fields.push(self.name);
        ids.iter().for_each(|(_, id)| _ = fields.push(&some(id)));
        fields.push(&some(self.session));
        Start {
            of: Of::Runner,
            callsite: site!(
                Internal "runner.run",
                &[
                    "gen_ai.operation.name",
                    "gen_ai.workflow.name",
                    "invocation_id",
                    "session_id",
                    "user_id",
                    "gen_ai.conversation.id"
                ]
            ),
            fields,
            conventional: format!("invoke_workflow {}", self.name),
            name: None,
            correlation: Correlation::current().with(&given),
        }
    }
}

operation!(Runner);

/// A fixed sequence of agents or tools within an invocation.
pub fn workflow(name: &str) -> Workflow<'_> {
    Workflow { name }
}

/// A workflow that has not begun; see [`workflow`].
#[derive(Clone, Copy, Debug)]
#[must_use = "it begins with `run` or `begin`"]
pub struct Workflow<'a> {
    name: &'a str,
}

impl Workflow<'_> {
    fn start(self) -> Start {
        let mut fields = FieldList::expecting(2);
        fields.push("invoke_workflow");
        fields.push(self.name);
        Start {
            of: Of::Workflow(self.name.to_owned()),
            callsite: site!(Internal "workflow.run", &["gen_ai.operation.name", "gen_ai.workflow.name"]),
            fields,
            conventional: format!("invoke_workflow {}", self.name),
            name: None,
            correlation: Correlation::current(),
        }
    }
}

operation!(Workflow);

/// An operation on the stored events of a conversation, such as `append_event` or `load`.
pub fn session(operation: &str) -> Session<'_> {
    Session { operation, events: None }
}

/// An operation on a session that has not begun; see [`session`].
#[derive(Clone, Copy, Debug)]
#[must_use = "it begins with `run` or `begin`"]
pub struct Session<'a> {
    operation: &'a str,
    events: Option<u64>,
}

impl<'a> Session<'a> {
    /// How many events the session has: `session.events.count`.
    pub fn events(self, count: u64) -> Session<'a> {
        Session { events: Some(count), ..self }
    }

    fn start(self) -> Start {
        let mut fields = FieldList::expecting(1);
        fields.push(&self.events);
        if let Some(events) = self.events {
            series::SESSION_EVENTS.record(&[], events as f64);
        }
        let name = format!("session.{}", self.operation);
        Start {
            of: Of::Session,
            callsite: site!(Internal "session.operation", &["session.events.count"]),
            fields,
            conventional: name.clone(),
            name: Some(name),
            correlation: Correlation::current(),
        }
    }
}

operation!(Session);

/// How an agent works, `agent.type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AgentType {
    /// A model decides what to do.
    #[default]
    Llm,
    /// It runs its sub-agents one after the other.
    Sequential,
    /// It runs its sub-agents at the same time.
    Parallel,
}

/// A run of an agent. A sub-agent is one that runs within another.
pub fn agent(name: &str) -> Agent<'_> {
    Agent { name, of_type: AgentType::Llm }
}

/// A run of an agent that has not begun; see [`agent`].
#[derive(Clone, Copy, Debug)]
#[must_use = "it begins with `run` or `begin`"]
pub struct Agent<'a> {
    name: &'a str,
    of_type: AgentType,
}

impl<'a> Agent<'a> {
    /// How it works.
    pub fn of_type(self, of_type: AgentType) -> Agent<'a> {
        Agent { of_type, ..self }
    }

    fn start(self) -> Start {
        let mut fields = FieldList::expecting(4);
        fields.push("invoke_agent");
        fields.push(self.name);
        fields.push(self.name);
        fields.push(match self.of_type {
            AgentType::Llm => "llm",
            AgentType::Sequential => "sequential",
            AgentType::Parallel => "parallel",
        });
        Start {
            of: Of::Agent(self.name.to_owned()),
            callsite: site!(
                Internal "agent.run",
                &["gen_ai.operation.name", "gen_ai.agent.name", "agent.name", "agent.type"]
            ),
            fields,
            conventional: format!("invoke_agent {}", self.name),
            name: None,
            correlation: Correlation::current().with(&[("agent.name", self.name)]),
        }
    }
}

operation!(Agent);

/// An execution of a tool.
pub fn tool(name: &str) -> Tool<'_> {
    Tool { name, call_id: "" }
}

/// An execution of a tool that has not begun; see [`tool`].
#[derive(Clone, Copy, Debug)]
#[must_use = "it begins with `run` or `begin`"]
pub struct Tool<'a> {
    name: &'a str,
    call_id: &'a str,
}

impl<'a> Tool<'a> {
    /// The id that the model gave the call, `gen_ai.tool.call.id`.
    pub fn call_id(self, id: &'a str) -> Tool<'a> {
        Tool { call_id: id, ..self }
    }

    fn start(self) -> Start {
        let mut fields = FieldList::expecting(3);
        fields.push("execute_tool");
        fields.push(self.name);
        fields.push(&some(self.call_id));
        Start {
            of: Of::Tool(self.name.to_owned()),
            callsite: site!(
                Internal "tool.execute",
                &["gen_ai.operation.name", "gen_ai.tool.name", "gen_ai.tool.call.id"]
            ),
            fields,
            conventional: format!("execute_tool {}", self.name),
            name: None,
            correlation: Correlation::current(),
        }
    }
}

operation!(Tool);
