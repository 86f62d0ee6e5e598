//! Runs the shop. The first line of `main` is all that the program has of throughline: without a collector it draws the
//! traces, logs and metrics on the terminal.

use adopted_example::{Shop, describe_metrics};
use throughline_std::Config;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let _guard = throughline_std::init(&Config::new("shop").bridges())?;

    describe_metrics();
    Shop::open().serve(6).await;
    Ok(())
}
