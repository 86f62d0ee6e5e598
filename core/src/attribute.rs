//! Helpers for the code that `#[instrument]` generates.

use core::ops::ControlFlow;

/// Calls a closure. Passing the closure here makes the compiler infer `FnOnce`, so the body may return what
/// it has captured.
#[inline(always)]
pub fn call<R>(body: impl FnOnce() -> R) -> R {
    body()
}

/// What the `?` operator does in a function that returns `R`. The standard library's own trait for it is
/// unstable.
pub trait Branch<R> {
    /// The value that `?` evaluates to.
    type Output;
    /// Continues with the value, or breaks with the `R` to return.
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
