//! What `#[instrument]` makes use of, beside spans and futures.

use core::ops::ControlFlow;

/// Calls a closure. Passed here, a closure is one that is called once, and may return what it has captured.
#[inline(always)]
pub fn call<R>(body: impl FnOnce() -> R) -> R {
    body()
}

/// What `?` does with a value, in a function that returns an `R`: stable Rust has it for its own use alone.
pub trait Branch<R> {
    /// What `?` gives.
    type Output;
    /// Goes on with a value, or leaves with an `R`.
    #[track_caller]
    fn branch(self) -> ControlFlow<R, Self::Output>;
}

impl<T, U, E, F: From<E>> Branch<Result<U, F>> for Result<T, E> {
    type Output = T;

    #[inline(always)]
    fn branch(self) -> ControlFlow<Result<U, F>, T> {
        match self {
            Ok(value) => ControlFlow::Continue(value),
            Err(error) => ControlFlow::Break(Err(error.into())),
        }
    }
}

impl<T, U> Branch<Option<U>> for Option<T> {
    type Output = T;

    #[inline(always)]
    fn branch(self) -> ControlFlow<Option<U>, T> {
        self.map_or(ControlFlow::Break(None), ControlFlow::Continue)
    }
}
