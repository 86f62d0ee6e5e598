//! A service written in the style of `tracing` and `metrics`: async, with trait methods, errors, and spans in
//! tasks. `service.rs` is the same source for both; only the imports below come from `throughline`. The tests
//! also compile it with the imports of `tracing` and `metrics`.

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
