//! Places some orders and shows what was recorded.

use orders_example::{Order, Service, TestBank};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let _guard = throughline_std::init(&throughline_std::Config::new("orders"))?;
    let service = Service::new(TestBank { limit: 10_000 });
    let order = |id, cents| Order { id, customer: "Zoë".into(), cents };
    let done = service.place_all(vec![order(1, 250), order(2, 0), order(3, 99_999)]).await;
    assert_eq!(done, 1);
    Ok(())
}
