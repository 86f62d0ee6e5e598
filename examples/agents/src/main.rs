//! Runs the agents once, configured by `agents.toml` or the file that is given.

use agents_example::{Run, answer, model};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1);
    let file = file.as_deref().unwrap_or(concat!(env!("CARGO_MANIFEST_DIR"), "/agents.toml"));
    let _guard = throughline_std::init(&throughline_std::Config::load(file)?)?;
    let run = Run { invocation: "i-7", session: "s-3", user: "ada", question: "a red line" };
    match model::run(answer(run)) {
        Ok(text) => println!("{text}"),
        Err(failure) => println!("it failed: {failure:?}"),
    }
    Ok(())
}
