//! Runs shop and warehouse, and orders three items. The first line of `main` is all that the program has of throughline:
//! without a collector it draws the traces, logs and metrics on the terminal. With `--with-layers`, the service has
//! throughline's layers in place of tower-http's, and each order is one trace through both.

use stranger_example::layered::{self, Layered};
use stranger_example::shop::{self, Plain};
use stranger_example::{serve, warehouse};
use throughline_std::Config;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let _guard = throughline_std::init(&Config::new("shop").bridges())?;

    // The runtime ends before the guard, so that spans of its tasks, such as those of connections, have ended too.
    tokio::runtime::Runtime::new()?.block_on(run())
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let db = shop::database().await?;
    let shop = if std::env::args().any(|argument| argument == "--with-layers") {
        let warehouse = serve(layered::warehouse()).await?;
        layered::shop(Layered::connect(db, format!("http://{warehouse}")).await?)
    } else {
        let warehouse = serve(warehouse::router()).await?;
        shop::router(Plain::connect(db, format!("http://{warehouse}")).await?)
    };
    let shop = serve(shop).await?;
    for item in ["lamp", "unicorn", "moon"] {
        let answer = reqwest::Client::new().post(format!("http://{shop}/orders/{item}")).send().await?;
        println!("{item}: {}", answer.status());
    }
    Ok(())
}
