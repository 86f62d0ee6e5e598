//! A service written as one writes for `tracing` and `metrics`: async, with trait methods, errors, and spans in tasks. `service.rs` is the same for
//! both; only the imports below are `throughline`'s. The tests compile it with the imports of `tracing` and `metrics`, too.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

use throughline::{
    Instrument, counter, debug, debug_span, error, event, gauge, histogram, info, info_span, instrument,
    span, trace, warn,
};

include!("service.rs");
