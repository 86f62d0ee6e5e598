//! The smallest executor: one future, polled again after every interrupt. No allocation, no task, no waker.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

/// Runs a future to its end, and calls `idle` whenever it waits: on a microcontroller that sleeps until an interrupt and may flush what was
/// recorded; a test plays the interrupt in it.
///
/// The future must be one that an interrupt moves on: nothing else brings the next poll about than `idle` returning.
pub fn run<F: Future>(future: F, mut idle: impl FnMut()) -> F::Output {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(output) => return output,
            Poll::Pending => idle(),
        }
    }
}
