//! A shop as many are written: spans and events of `tracing`, a few lines of `log` from older code, counters of
//! `metrics`, and tasks on tokio. Nothing here knows of throughline; see `main.rs` for the one line that does.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tracing::{Instrument, Span, debug, error, field, info, info_span, instrument, warn};

/// Tells the backends what the metrics are.
pub fn describe_metrics() {
    metrics::describe_counter!("orders", metrics::Unit::Count, "Orders by outcome");
    metrics::describe_gauge!("checkouts.active", "Checkouts in progress");
    metrics::describe_histogram!("checkout.duration", metrics::Unit::Seconds, "How long a checkout takes");
}

/// What goes wrong in the shop.
#[derive(Debug, PartialEq, Eq)]
pub enum ShopError {
    /// There are no more of this item.
    SoldOut(&'static str),
    /// The bank did not answer in time.
    NoAnswer,
}

impl fmt::Display for ShopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ShopError::SoldOut(item) => write!(f, "{item} is sold out"),
            ShopError::NoAnswer => f.write_str("the bank did not answer"),
        }
    }
}

impl std::error::Error for ShopError {}

/// The shop.
#[derive(Clone, Debug)]
pub struct Shop {
    tills: Arc<Semaphore>,
}

impl Shop {
    /// A shop with two tills.
    pub fn open() -> Shop {
        Shop { tills: Arc::new(Semaphore::new(2)) }
    }

    /// Serves several customers at the same time, each in a task of its own.
    pub async fn serve(&self, customers: u32) {
        let day = info_span!("day", customers, sold = field::Empty);
        let tasks: Vec<_> = (0..customers)
            .map(|customer| {
                let shop = self.clone();
                let visit =
                    info_span!(parent: &day, "visit", otel.name = format!("visit {customer}"), customer);
                tokio::spawn(async move { shop.checkout(customer).await.is_ok() }.instrument(visit))
            })
            .collect();
        let mut sold = 0;
        for task in tasks {
            sold += u32::from(task.await.is_ok_and(|is_sold| is_sold));
        }
        day.record("sold", sold);
        day.in_scope(|| info!(sold, "the day is over"));
    }

    /// Takes an item off the shelf and has it paid.
    ///
    /// # Errors
    ///
    /// When the item is sold out, or the bank does not answer.
    #[instrument(skip(self), fields(otel.kind = "server", item = field::Empty), err)]
    pub async fn checkout(&self, customer: u32) -> Result<u32, ShopError> {
        let begun = std::time::Instant::now();
        metrics::gauge!("checkouts.active").increment(1.0);
        let result = self.sell(customer).await;
        metrics::gauge!("checkouts.active").decrement(1.0);
        metrics::histogram!("checkout.duration").record(begun.elapsed().as_secs_f64());
        metrics::counter!("orders", "outcome" => if result.is_ok() { "sold" } else { "failed" }).increment(1);
        result
    }

    async fn sell(&self, customer: u32) -> Result<u32, ShopError> {
        let item = shelf(customer)?;
        Span::current().record("item", item);
        let _till = self.tills.acquire().await.map_err(|_| ShopError::NoAnswer)?;
        let price = price_of(item);
        pay(customer, price).await?;
        // The parcel is packed on another thread, and the customer does not wait for it to be sent.
        let packing = info_span!("pack", item);
        let packed = packing.clone();
        let packer = std::thread::spawn(move || packed.in_scope(|| debug!(item, "packed")));
        packer.join().map_err(|_| ShopError::NoAnswer)?;
        let sending = info_span!(parent: None, "send", item);
        sending.follows_from(&packing);
        drop(packing);
        sending.in_scope(|| info!("sent to customer {customer}"));
        Ok(price)
    }
}

fn shelf(customer: u32) -> Result<&'static str, ShopError> {
    let item = ["tea", "mug", "spoon", "kettle"][customer as usize % 4];
    if item == "kettle" {
        return Err(ShopError::SoldOut(item));
    }
    Ok(item)
}

/// Older code, which logs by `log`.
fn price_of(item: &str) -> u32 {
    let price = item.len() as u32 * 100;
    log::info!(item, price; "{item} costs {price}");
    price
}

#[instrument(level = "debug", fields(otel.kind = "client", peer.service = "bank", attempts = field::Empty))]
async fn pay(customer: u32, price: u32) -> Result<(), ShopError> {
    for attempt in 1..=2_u32 {
        Span::current().record("attempts", attempt);
        tokio::time::sleep(Duration::from_millis(1)).await;
        if customer % 4 != 2 {
            return Ok(());
        }
        warn!(attempt, "no answer from the bank");
    }
    error!(price, "payment failed");
    Err(ShopError::NoAnswer)
}
