//! An agent that answers questions with passages that its tool `rank` finds. One question has many words, and the tool is slow for it: it makes
//! the words of each passage anew for every word of the question. With `--fixed` it makes them once.
//!
//! ```text
//! runner.run
//! └ agent.run librarian
//!   ├ llm.generate      what to look for; waits for a made-up model
//!   ├ tool.execute      rank: computes
//!   └ llm.generate      the answer
//! ```
//!
//! `cargo xtask demo --story` runs it twice, and follows the slow call from the trace to the function.

mod passages;
mod rank;

use std::convert::Infallible;
use std::process::ExitCode;
use std::time::Duration;
use throughline_std::Config;
use throughline_std::gen_ai::{agent, llm, runner, tool};

/// Knows who allocates, for profiles of memory and for the memory of spans.
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[global_allocator]
static ALLOCATOR: throughline_std::profiling::Allocator =
    throughline_std::profiling::Allocator::new(std::alloc::System);

/// How many passages the tool knows.
const PASSAGES: usize = 8000;
/// How long the last profile may take to be written: names are looked up for it.
const SHUTDOWN: Duration = Duration::from_secs(60);

/// The second one is as long as a question can be if another program has written it.
const QUESTIONS: [&str; 3] = [
    "which valve closes first",
    "the red pump near the northern river stopped when the cold water of the second winter storm met the old bridge and \
     every silent engine under the long iron road began to turn slowly while the tired keeper of the stone lighthouse wrote \
     a letter about copper wires green glass and seven broken clocks",
    "who keeps the lighthouse",
];

fn main() -> ExitCode {
    let is_fixed = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--fixed") => true,
        Some(_) => {
            eprintln!("usage: slow-tool-example [--fixed]");
            return ExitCode::from(2);
        }
    };
    match run(is_fixed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(is_fixed: bool) -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::load(concat!(env!("CARGO_MANIFEST_DIR"), "/slow-tool.toml"))?;
    let guard = throughline_std::init(&config)?;
    let passages = passages::made_up(PASSAGES);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    for (number, question) in QUESTIONS.iter().enumerate() {
        let invocation = format!("i-{number}");
        let answer = runner("library")
            .invocation(&invocation)
            .session("s-1")
            .run(answer(question, &passages, is_fixed));
        let Ok(answer) = runtime.block_on(answer);
        println!("{answer}");
    }
    let report = guard.shutdown(SHUTDOWN);
    if !report.complete {
        return Err(format!("not everything was written: {}", report.ledger).into());
    }
    Ok(())
}

async fn answer(question: &str, passages: &[String], is_fixed: bool) -> Result<String, Infallible> {
    let work = async {
        think().await?;
        let found =
            tool("rank").run(async { Ok::<_, Infallible>(rank::rank(question, passages, is_fixed)) }).await?;
        think().await?;
        Ok(format!("passage {found}: {}", passages[found].split('.').next().unwrap_or_default()))
    };
    agent("librarian").run(work).await
}

/// Waits as one waits for a model. It uses no CPU time, so it is in the trace and not in the profile.
async fn think() -> Result<(), Infallible> {
    let model = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(())
    };
    llm("local", "tiny-1").run(model).await
}
