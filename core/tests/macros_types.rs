//! Properties of the types that macros generate.

#![cfg(not(loom))]

use throughline::{Instrumented, Span};

/// A type that is `Send` has two implementations of this trait, so naming the trait without its parameter
/// does not compile.
trait AmbiguousIfSend<Which> {
    fn is_not() {}
}
impl<T: ?Sized> AmbiguousIfSend<()> for T {}
impl<T: ?Sized + Send> AmbiguousIfSend<u8> for T {}

#[test]
fn a_span_stays_on_its_thread_and_an_instrumented_future_does_not() {
    <Span as AmbiguousIfSend<_>>::is_not();
    fn is_send<T: Send>() {}
    is_send::<Instrumented<std::future::Ready<u8>>>();
}
