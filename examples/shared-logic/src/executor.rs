//! The smallest executor: it polls one future again after every interrupt. It needs no allocation, no tasks
//! and no waker.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

/// Runs a future to its end, and calls `idle` whenever the future waits. On a microcontroller `idle` sleeps
/// until an interrupt, and may flush records; in a test it plays the interrupt.
///
/// The future must be one that an interrupt advances, because it is polled only after `idle` returns.
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
