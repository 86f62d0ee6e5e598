//! What a function with `#[instrument(metrics)]` leaves in the ring.
#![cfg(not(loom))]

mod common;

use common::Fault;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use throughline::{Status, instrument};

fn poll(future: impl Future) {
    _ = pin!(future).poll(&mut Context::from_waker(Waker::noop()));
}

#[test]
fn the_span_of_a_failed_call_has_status_and_class() {
    #[instrument(metrics)]
    fn fails() -> Result<(), Fault> {
        Err(Fault::Full)
    }
    #[instrument(metrics)]
    async fn fails_later() -> Result<(), Fault> {
        Err(Fault::Timeout)
    }
    #[instrument(metrics)]
    async fn succeeds() -> Result<(), Fault> {
        Ok(())
    }
    let told = common::records(|| {
        _ = fails();
        poll(fails_later());
        poll(succeeds());
    });
    for (name, expected, class) in [
        ("fails", Status::Error, Some("full")),
        ("fails_later", Status::Error, Some("timeout")),
        ("succeeds", Status::Unset, None),
    ] {
        let common::Told::Span { status, id, .. } = common::one(&told, name) else { panic!("{told:?}") };
        let fields = told.iter().find_map(|one| match one {
            common::Told::Fields { span, values } if span == id => Some(values.as_str()),
            _ => None,
        });
        assert_eq!(*status, expected, "{name}");
        assert_eq!(fields.is_some(), class.is_some(), "{name}");
        assert!(fields.unwrap_or_default().contains(class.unwrap_or_default()), "{name}: {fields:?}");
    }
}
