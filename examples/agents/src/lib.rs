//! A runner with two agents, of which the first has a sub-agent. They call tools and a model, read a stream, and one of
//! them runs in a task of its own. Everything of a run is one tree, and everything carries the run's ids:
//!
//! ```text
//! runner.run
//! ├ agent.run planner
//! │ ├ agent.prepare_request
//! │ ├ llm.generate → http.request
//! │ ├ tool.execute → http.request
//! │ └ agent.run writer
//! │   └ llm.generate → llm.stream
//! ├ agent.run reviewer, in a spawned task
//! │ └ llm.generate → http.request
//! └ session.append_event
//! ```

pub mod model;

use model::{Failure, Words, generate, next, search};
use throughline::{ErrorClass, info, instrument, observe, span};
use throughline_std::gen_ai::{agent, llm, runner, session, tool};
use throughline_std::propagation::{Propagate, instrument_stream};

/// What a run is about.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The id of the run.
    pub invocation: &'a str,
    /// The id of the conversation.
    pub session: &'a str,
    /// The id of the user.
    pub user: &'a str,
    /// What is asked.
    pub question: &'a str,
}

/// Answers a question.
///
/// # Errors
///
/// What an agent failed with.
pub async fn answer(run: Run<'_>) -> Result<String, Failure> {
    let work = async {
        let text = agent("planner").run_classified(plan(run.question), Failure::class).await?;
        // Another agent, at the same time, in a task of its own.
        let review = review(text.clone());
        let review = agent("reviewer").run_classified(review, Failure::class).in_current_context();
        let review = tokio::spawn(review);
        session("append_event").events(2).run(async { Ok::<(), Failure>(()) }).await?;
        let is_good = review.await.unwrap_or(Ok(false))?;
        // An event, a counter and a histogram from one call.
        observe!(
            "answered",
            is_good,
            #[counter(name = "answers.total")]
            answers = 1,
            #[histogram(unit = "{char}")]
            length = text.len()
        );
        Ok(text)
    };
    let support = runner("support").invocation(run.invocation).session(run.session).user(run.user);
    support.run_classified(work, Failure::class).await
}

async fn plan(question: &str) -> Result<String, Failure> {
    let request = prepare(question);
    let call = llm("local", "tiny-1").temperature(0.2).max_tokens(200);
    let found = |call: &mut throughline_std::gen_ai::Generating, answer: &model::Answer| {
        call.usage(answer.input, answer.output);
        call.cost(0.000_1);
        call.finish_reason("tool_calls");
    };
    let thought = call.run_classified(generate(&request), found, Failure::class).await?;
    let page = tool("search").call_id("c-1").run_classified(search(&thought.text), Failure::class).await?;
    agent("writer").run_classified(write(&page), Failure::class).await
}

#[instrument(name = "agent.prepare_request", skip_all)]
fn prepare(question: &str) -> String {
    info!("asked for {} letters", question.len());
    question.trim().to_owned()
}

/// The sub-agent: it reads its answer as a stream.
async fn write(page: &str) -> Result<String, Failure> {
    let mut call = llm("local", "tiny-1").begin();
    let mut words = {
        let _within = call.context().enter();
        Box::pin(instrument_stream(Words::of(page), span!("llm.stream")))
    };
    let mut text = Vec::new();
    while let Some(word) = next(&mut words).await {
        call.chunk();
        text.push(word);
    }
    call.usage(page.len() as u64, text.len() as u64);
    Ok(text.join(" "))
}

async fn review(text: String) -> Result<bool, Failure> {
    let question = format!("is it good: {text}");
    let call = llm("local", "tiny-1").run_classified(generate(&question), |_, _| (), Failure::class);
    Ok(call.await?.text.contains("good"))
}
