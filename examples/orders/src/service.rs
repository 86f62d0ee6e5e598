// The service itself. A file that includes it must first import the macros, from `throughline` or from
// `tracing` and `metrics`.

/// An order.
#[derive(Clone, Debug)]
pub struct Order {
    /// Its number.
    pub id: u64,
    /// The customer.
    pub customer: String,
    /// Its price.
    pub cents: u32,
}

/// Why an order fails.
#[derive(Debug)]
pub enum OrderError {
    /// It costs nothing.
    Free,
    /// The bank refused.
    Declined {
        /// The bank's code.
        code: u16,
    },
    /// The store cannot be reached.
    Store(std::io::Error),
}

impl fmt::Display for OrderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OrderError::Free => f.write_str("an order that costs nothing"),
            OrderError::Declined { code } => write!(f, "declined by the bank: {code}"),
            OrderError::Store(_) => f.write_str("the store cannot be reached"),
        }
    }
}

impl std::error::Error for OrderError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OrderError::Store(error) => Some(error),
            _ => None,
        }
    }
}

/// Takes money.
pub trait Bank: Send + Sync + 'static {
    /// Takes this amount from the customer.
    fn charge(&self, customer: &str, cents: u32) -> impl Future<Output = Result<u32, OrderError>> + Send;
}

/// A bank with a limit.
pub struct TestBank {
    /// The most that can be charged at once.
    pub limit: u32,
}

impl Bank for TestBank {
    #[instrument(skip(self), fields(limit = self.limit), err, ret)]
    async fn charge(&self, customer: &str, cents: u32) -> Result<u32, OrderError> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        if cents > self.limit {
            let code = 51_u16;
            warn!(customer, code, "the bank declines {cents} cents");
            return Err(OrderError::Declined { code });
        }
        debug!(target: "bank", "charged {:>8.2} of {}", f64::from(cents) / 100.0, customer);
        Ok(self.limit - cents)
    }
}

/// The service that takes orders.
pub struct Service<B> {
    bank: B,
    sent: Mutex<Vec<u64>>,
}

impl<B: Bank> Service<B> {
    /// A service with this bank.
    pub fn new(bank: B) -> Arc<Self> {
        Arc::new(Service { bank, sent: Mutex::new(Vec::new()) })
    }

    /// Takes an order: checks it, charges for it, and has it packed by another task.
    #[instrument(name = "order.place", skip_all, fields(order.id = order.id, customer = %order.customer), err(Debug))]
    pub async fn place(self: &Arc<Self>, order: Order) -> Result<u32, OrderError> {
        let begun = Instant::now();
        counter!("orders.placed", "channel" => "web").increment(1);
        gauge!("orders.open").increment(1);
        let result = self.take(&order).await;
        gauge!("orders.open").decrement(1);
        histogram!("orders.duration").record(begun.elapsed());
        if let Err(error) = &result {
            counter!("orders.failed").increment(1);
            error!(error = %error, order.id = order.id, "order {} failed: {error}", order.id);
        }
        result
    }

    #[instrument(level = "debug", skip(self))]
    async fn take(self: &Arc<Self>, order: &Order) -> Result<u32, OrderError> {
        info_span!("order.check", items = 1).in_scope(|| check(order))?;
        let left = self.bank.charge(&order.customer, order.cents).await?;
        let (service, id) = (Arc::clone(self), order.id);
        let packing = async move {
            for step in 0..3_u8 {
                trace!(step, "packing");
                tokio::task::yield_now().await;
            }
            service.sent.lock().await.push(id);
            info!(order.id = id, "sent");
        };
        let packed = tokio::spawn(packing.instrument(info_span!("order.pack", order.id = id, worker = "p-1")));
        packed.await.map_err(|error| OrderError::Store(std::io::Error::other(error)))?;
        Ok(left)
    }

    /// Places all orders concurrently. Returns how many succeeded.
    #[instrument(skip_all, fields(orders = orders.len()))]
    pub async fn place_all(self: &Arc<Self>, orders: Vec<Order>) -> usize {
        let mut tasks = Vec::new();
        for order in orders {
            let (service, span) = (Arc::clone(self), debug_span!("order.task", ?order));
            tasks.push(tokio::spawn(async move { service.place(order).await }.instrument(span)));
        }
        let mut done = 0;
        for (number, task) in tasks.into_iter().enumerate() {
            match task.await {
                Ok(Ok(left)) => done += usize::from(left > 0),
                Ok(Err(error)) => event!(Level::WARN, number, %error, "one order failed"),
                Err(_) => error!(number, "a task panicked"),
            }
        }
        info!(done, "of {number} orders", number = self.sent.lock().await.len());
        done
    }
}

/// Checks an order.
#[instrument(level = "trace", ret, err)]
fn check(order: &Order) -> Result<(), OrderError> {
    let span = span!(Level::DEBUG, "order.rules", rules = 1);
    let _entered = span.enter();
    if order.cents == 0 {
        return Err(OrderError::Free);
    }
    Ok(())
}
