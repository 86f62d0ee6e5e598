//! The stream that an instrumented function returns.

/// A type that implements the trait `$stream`, which is the path that the user's code has for `Stream`, so
/// that this crate needs no crate that defines the trait.
#[doc(hidden)]
#[macro_export]
macro_rules! __stream {
    ($name:ident $stream:path) => {
        struct $name<S>($crate::__private::Instrumented<S>);

        impl<S: $stream> $stream for $name<S> {
            type Item = <S as $stream>::Item;

            fn poll_next(
                self: ::core::pin::Pin<&mut Self>,
                cx: &mut ::core::task::Context<'_>,
            ) -> ::core::task::Poll<::core::option::Option<Self::Item>> {
                // SAFETY: the only field is pinned whenever the whole is: nothing moves it out, and the type
                // has no `Drop` and no `Unpin` of its own.
                let stream = unsafe { ::core::pin::Pin::map_unchecked_mut(self, |whole| &mut whole.0) };
                $crate::__private::poll_stream(stream, |stream| <S as $stream>::poll_next(stream, cx))
            }

            fn size_hint(
                &self,
            ) -> (::core::primitive::usize, ::core::option::Option<::core::primitive::usize>) {
                <S as $stream>::size_hint($crate::__private::Instrumented::inner(&self.0))
            }
        }
    };
}
