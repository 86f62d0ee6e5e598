//! What the shop knows: a database with a pool of connections, which takes the time that a database takes.

use std::sync::Arc;
use std::time::Duration;

use throughline_std::db;
use throughline_std::health::PoolUse;
use throughline_std::observe;
use tokio::sync::Semaphore;

/// Connections of the pool.
const CONNECTIONS: usize = 8;

/// Why a query fails.
#[derive(Debug)]
pub(crate) struct Deadlock;

/// The database. Clones share it.
#[derive(Clone)]
pub(crate) struct Store {
    idle: Arc<Semaphore>,
}

impl Store {
    pub(crate) fn new() -> Store {
        Store { idle: Arc::new(Semaphore::new(CONNECTIONS)) }
    }

    /// Reads what is left of an item.
    pub(crate) async fn left(&self, item: u64) -> u64 {
        let query = db::query("postgresql", "SELECT pieces FROM stock WHERE item = 1").namespace("shop");
        let asked = query.run(async {
            self.ask(1 + item % 3).await;
            Ok::<u64, Deadlock>(item * 37 % 11)
        });
        asked.await.unwrap_or_default()
    }

    /// Writes an order. One in fifty fails.
    pub(crate) async fn add(&self, order: u64) -> Result<(), Deadlock> {
        let query = db::query("postgresql", "INSERT INTO orders VALUES (1)").namespace("shop");
        let asked = query.run(async {
            self.ask(2 + order % 5).await;
            if order % 50 == 49 { Err(Deadlock) } else { Ok(()) }
        });
        asked.await
    }

    pub(crate) async fn ping(&self) {
        self.ask(0).await;
    }

    /// How the pool is used.
    pub(crate) fn usage(&self) -> PoolUse {
        let idle = self.idle.available_permits() as u64;
        PoolUse { open: CONNECTIONS as u64, idle, most: CONNECTIONS as u64 }
    }

    /// Makes metrics of how the pool is used, by OpenTelemetry's names.
    pub(crate) fn observe_pool(&self) {
        for (state, is_idle) in [("idle", true), ("used", false)] {
            let store = self.clone();
            observe::up_down_counter("db.client.connection.count")
                .unit("{connection}")
                .description("Connections of pools, by state")
                .label("db.client.connection.pool.name", "shop")
                .label("db.client.connection.state", state)
                .with(move || {
                    let PoolUse { open, idle, .. } = store.usage();
                    if is_idle { idle } else { open - idle }
                })
                .keep();
        }
    }

    /// Holds a connection for this many milliseconds.
    async fn ask(&self, milliseconds: u64) {
        // The semaphore is never closed, so there is always a permit in the end.
        let _connection = self.idle.acquire().await;
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
}
