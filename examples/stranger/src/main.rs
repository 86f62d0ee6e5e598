//! Runs shop and warehouse, and orders three items. The first line of `main` is all that the program has of throughline:
//! without a collector it draws the traces, logs and metrics on the terminal.

use stranger_example::shop::{self, Plain};
use stranger_example::{serve, warehouse};
use throughline_std::Config;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let _guard = throughline_std::init(&Config::new("shop").bridges())?;

    let warehouse = serve(warehouse::router()).await?;
    let partners = Plain::connect(format!("http://{warehouse}")).await?;
    let shop = serve(shop::router(shop::database().await?, partners)).await?;
    for item in ["lamp", "unicorn", "moon"] {
        let answer = reqwest::Client::new().post(format!("http://{shop}/orders/{item}")).send().await?;
        println!("{item}: {}", answer.status());
    }
    Ok(())
}
