//! The same source with the imports of `tracing` and `metrics`: the test is that it compiles and that both
//! place the orders.

#![allow(missing_docs, reason = "the library has them")]

#[allow(unreachable_pub, reason = "pub in the library")]
mod theirs {
    use std::fmt;
    use std::future::Future;
    use std::sync::Arc;
    use std::time::{Duration, Instant};
    use tokio::sync::Mutex;

    use metrics::{counter, gauge, histogram};
    use tracing::{
        Instrument, Level, debug, debug_span, error, event, info, info_span, instrument, span, trace, warn,
    };

    include!("../src/service.rs");
}

macro_rules! places {
    ($which:path) => {{
        use $which as it;
        let order = |id, cents| it::Order { id, customer: "Zoë".into(), cents };
        let service = it::Service::new(it::TestBank { limit: 10_000 });
        service.place_all(vec![order(1, 250), order(2, 0), order(3, 99_999)]).await
    }};
}

#[tokio::test]
async fn one_source_compiles_with_the_imports_of_either() {
    assert_eq!(places!(theirs), 1);
    assert_eq!(places!(orders_example), 1);
}
