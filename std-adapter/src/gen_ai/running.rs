//! Operations that are running, and what is counted when they end.

use super::series;
use super::{Naming, naming};
use crate::conventions::polled_in;
use crate::propagation::{Correlation, FullContext, Propagate};
use std::borrow::Cow;
use std::future::Future;
use std::time::Instant;
use throughline::adapter::bridge::FieldList;
use throughline::adapter::callsite::CallsiteId;
use throughline::{Context, DetachedSpan, EnteredSpan, Status};

/// What an operation is, with the values of its metrics' labels.
#[derive(Clone, Debug)]
pub(super) enum Of {
    Runner,
    Session,
    Workflow(String),
    Agent(String),
    Tool(String),
    Llm { operation: &'static str, provider: String, model: String },
}

/// An operation that is about to begin.
pub(super) struct Start {
    pub(super) of: Of,
    pub(super) callsite: Option<CallsiteId>,
    pub(super) fields: FieldList,
    /// The span's name by OpenTelemetry's conventions.
    pub(super) conventional: String,
    /// The span's name if the callsite does not have it.
    pub(super) name: Option<String>,
    /// What everything within the operation has.
    pub(super) correlation: Correlation,
}

/// An operation that is running. It ends when it is dropped, on whatever thread.
///
/// `begin` of [`Agent`](super::Agent) and the others makes it, for code that is not one future; otherwise use `run`.
#[derive(Debug)]
#[must_use = "the operation ends when this value is dropped"]
pub struct Running {
    span: DetachedSpan,
    of: Of,
    /// The place within it, with what goes along.
    context: FullContext,
    begun: Instant,
    status: Status,
    /// `error.type`; "" for none.
    error: Cow<'static, str>,
}

impl Running {
    pub(super) fn new(start: Start) -> Running {
        let Start { of, callsite, mut fields, conventional, name, correlation } = start;
        let parent = Context::current();
        let span = match callsite {
            Some(callsite) => DetachedSpan::begin(callsite, parent, &mut fields),
            None => DetachedSpan::at(parent),
        };
        match (naming(), name) {
            (Naming::Conventions, _) => span.set_name(&conventional),
            (Naming::Hierarchy, Some(name)) => span.set_name(&name),
            (Naming::Hierarchy, None) => {}
        }
        if let Of::Agent(name) = &of {
            series::AGENT_ACTIVE.add(&[name], 1);
        }
        let context = FullContext::current().moved_to(span.context()).with_correlation(correlation);
        Running { span, of, context, begun: Instant::now(), status: Status::Unset, error: "".into() }
    }

    /// Makes its span current, on this thread, until the guard is dropped. Correlation fields come along with
    /// [`Running::context`].
    #[must_use = "dropping the guard leaves the span"]
    pub fn enter(&self) -> EnteredSpan<'_> {
        self.span.enter()
    }

    /// The place within the operation, with its correlation fields, for
    /// [`in_context`](Propagate::in_context) and other threads.
    pub fn context(&self) -> FullContext {
        self.context.clone()
    }

    /// Adds an attribute to the span. Cost: that of a field whose key is known only at run time.
    pub fn record(&self, key: &str, value: impl throughline::Field) {
        self.span.record(key, value);
    }

    /// Says that it failed, with the class of the error, such as `timeout` or `rate_limited`. It becomes a label, so it
    /// must come from a small set.
    pub fn failed(&mut self, class: impl Into<Cow<'static, str>>) {
        (self.status, self.error) = (Status::Error, class.into());
    }

    pub(super) fn of(&self) -> &Of {
        &self.of
    }

    pub(super) fn elapsed(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    /// Runs a future in the operation, and gives both what it returns and the operation, which is cancelled if the
    /// future is dropped before.
    pub(super) async fn run<T, E>(
        mut self,
        future: impl Future<Output = Result<T, E>>,
        class: impl FnOnce(&E) -> &'static str,
    ) -> (Running, Result<T, E>) {
        (self.status, self.error) = (Status::Cancelled, "cancelled".into());
        let result = polled_in(&self.span, future.in_context(self.context())).await;
        (self.status, self.error) = (Status::Unset, "".into());
        if let Err(error) = &result {
            self.failed(class(error));
        }
        (self, result)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.status == Status::Cancelled && std::thread::panicking() {
            // The span itself finds the reason.
            (self.status, self.error) = (Status::Unset, "panic".into());
        }
        if !self.error.is_empty() {
            self.span.record("error.type", &*self.error);
        }
        if self.status != Status::Unset {
            self.span.set_status_if_unset(self.status);
        }
        // Where the span is current, so that exemplars lead to it.
        let _entered = self.context.enter();
        self.count(self.elapsed());
    }
}

impl Running {
    fn count(&self, seconds: f64) {
        let error = &*self.error;
        match &self.of {
            Of::Runner | Of::Session => {}
            Of::Workflow(name) => series::WORKFLOW.record(&[name, error], seconds),
            Of::Agent(name) => {
                series::AGENT_ACTIVE.add(&[name], -1);
                series::AGENT_RUNS.count(&[name], 1);
                series::AGENT_SECONDS.record(&[name], seconds);
                series::INVOKE_AGENT.record(&[name, error], seconds);
            }
            Of::Tool(name) => {
                series::TOOL_RUNS.count(&[name], 1);
                series::TOOL_SECONDS.record(&[name], seconds);
                series::EXECUTE_TOOL.record(&[name, error], seconds);
            }
            Of::Llm { operation, provider, model } => {
                series::LLM_CALLS.count(&[provider, model], 1);
                series::LLM_SECONDS.record(&[provider, model], seconds);
                series::OPERATION.record(&[operation, provider, model, error], seconds);
                if error != "cancelled" {
                    series::PROVIDER_HEALTH.set(&[provider], i64::from(error.is_empty()));
                }
            }
        }
        if !error.is_empty() {
            let agent = match &self.of {
                Of::Agent(name) => name,
                _ => self.context.correlation().get("agent.name").unwrap_or_default(),
            };
            series::ERRORS.count(&[error, agent], 1);
        }
    }
}

/// A call of a model that is running; [`Llm::begin`](super::Llm::begin) makes it. It ends when it is dropped.
#[derive(Debug)]
#[must_use = "the call ends when this value is dropped"]
pub struct Generating {
    pub(super) running: Running,
    pub(super) has_chunk: bool,
}

impl Generating {
    /// As [`Running::enter`].
    #[must_use = "dropping the guard leaves the span"]
    pub fn enter(&self) -> EnteredSpan<'_> {
        self.running.enter()
    }

    /// As [`Running::context`].
    pub fn context(&self) -> FullContext {
        self.running.context()
    }

    /// As [`Running::record`].
    pub fn record(&self, key: &str, value: impl throughline::Field) {
        self.running.record(key, value);
    }

    /// As [`Running::failed`].
    pub fn failed(&mut self, class: impl Into<Cow<'static, str>>) {
        self.running.failed(class);
    }

    /// Says how many tokens the call has used, those that are billed: `gen_ai.usage.input_tokens` and
    /// `gen_ai.usage.output_tokens`, in the metrics `gen_ai.client.token.usage` and `llm.tokens.total`. Once for a call.
    pub fn usage(&self, input: u64, output: u64) {
        self.record("gen_ai.usage.input_tokens", input);
        self.record("gen_ai.usage.output_tokens", output);
        let Of::Llm { operation, provider, model } = self.running.of() else { return };
        let _entered = self.running.enter();
        for (kind, tokens) in [("input", input), ("output", output)] {
            series::TOKENS.record(&[operation, provider, model, kind], tokens as f64);
            series::LLM_TOKENS.count(&[provider, model, kind], tokens);
        }
    }

    /// Says what the call has cost, in US dollars, in the metric `llm.cost`.
    pub fn cost(&self, dollars: f64) {
        self.record("llm.cost", dollars);
        if let Of::Llm { provider, model, .. } = self.running.of() {
            let _entered = self.running.enter();
            series::LLM_COST.record(&[provider, model], dollars);
        }
    }

    /// Says which model has answered, `gen_ai.response.model`.
    pub fn response_model(&self, model: &str) {
        self.record("gen_ai.response.model", model);
    }

    /// Says why the model has stopped, such as `stop`, `length` or `tool_calls`: `gen_ai.response.finish_reasons`.
    pub fn finish_reason(&self, reason: &str) {
        self.record("gen_ai.response.finish_reasons", reason);
    }

    /// Says that a part of a streamed answer has come. The first call counts the time until then in
    /// `gen_ai.client.operation.time_to_first_chunk`.
    pub fn chunk(&mut self) {
        if std::mem::replace(&mut self.has_chunk, true) {
            return;
        }
        if let Of::Llm { operation, provider, model } = self.running.of() {
            let _entered = self.running.enter();
            series::FIRST_CHUNK.record(&[operation, provider, model], self.running.elapsed());
        }
    }
}
