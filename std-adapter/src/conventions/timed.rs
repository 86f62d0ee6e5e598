//! An operation that ends when it is dropped.

use super::{Operation, late_fields};
use std::any::type_name;
use std::future::{Future, poll_fn};
use std::pin::pin;
use throughline::adapter::bridge::{BusySince, FieldList};
use throughline::{DetachedSpan, Instrument, Status};

/// An operation that is running; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Timed {
    operation: Operation,
    status: Status,
    /// `error.type`; "" for none.
    error: &'static str,
    /// The rows that a query returned.
    pub(crate) rows: Option<usize>,
}

impl Timed {
    pub(crate) fn new(operation: Operation) -> Timed {
        Timed { operation, status: Status::Unset, error: "", rows: None }
    }

    pub(crate) fn span(&self) -> &DetachedSpan {
        &self.operation.span
    }

    pub(crate) fn failed(&mut self, error: &'static str) {
        (self.status, self.error) = (Status::Error, error);
    }

    /// Runs a future in the operation, which ends with it and is cancelled if the future is dropped before. `found` is
    /// called with what it returns; an error fails the operation with its type.
    pub(crate) fn run<T, E>(
        mut self,
        future: impl Future<Output = Result<T, E>>,
        found: impl FnOnce(&mut Timed, &T),
    ) -> impl Future<Output = Result<T, E>> {
        (self.status, self.error) = (Status::Cancelled, "cancelled");
        let future = future.instrument(self.span().context());
        async move {
            let result = polled_in(self.span(), future).await;
            (self.status, self.error) = (Status::Unset, "");
            match &result {
                Ok(value) => found(&mut self, value),
                Err(_) => self.failed(type_name::<E>()),
            }
            result
        }
    }
}

/// Runs a future, and counts the time in which it is polled as the span's busy time.
pub(crate) async fn polled_in<F: Future>(span: &DetachedSpan, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let _busy = Busy { span, since: span.busy_since() };
        future.as_mut().poll(cx)
    })
    .await
}

/// Counts the time until it is dropped as busy, that of a poll that panics too.
struct Busy<'a> {
    span: &'a DetachedSpan,
    since: BusySince,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.span.count_busy(self.since);
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        if self.status == Status::Cancelled && std::thread::panicking() {
            // The span itself finds the reason.
            (self.status, self.error) = (Status::Unset, "panic");
        }
        if (self.rows.is_some() || !self.error.is_empty())
            && let Some(callsite) =
                late_fields!("throughline_std::conventions", &["error.type", "db.response.returned_rows"])
        {
            let mut fields = FieldList::expecting(2);
            fields.push(&Some(self.error).filter(|error| !error.is_empty()));
            fields.push(&self.rows.map(|rows| rows as u64));
            self.span().add_list(callsite, &mut fields);
        }
        self.operation.end(self.status, &[self.error]);
    }
}
