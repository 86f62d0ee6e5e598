//! Streams: the span of a function that returns one, with a `Stream` that this file defines itself, as no crate's own is needed.

mod common;

use common::{Told, event, one, records, span};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use throughline::{Status, info, instrument, span};

mod streams {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    pub(crate) trait Stream {
        type Item;
        fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>>;
        fn size_hint(&self) -> (usize, Option<usize>) {
            (0, None)
        }
    }

    impl<S: ?Sized + Stream> Stream for Pin<Box<S>> {
        type Item = S::Item;
        fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
            self.get_mut().as_mut().poll_next(cx)
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            (**self).size_hint()
        }
    }
}
use streams::Stream;

/// Counts down, and waits once before each number. It must not move, as its pin says.
struct Countdown<'a> {
    left: &'a mut u8,
    is_ready: bool,
    _pinned: std::marker::PhantomPinned,
}

impl Stream for Countdown<'_> {
    type Item = u8;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<u8>> {
        // SAFETY: nothing is moved out.
        let this = unsafe { self.get_unchecked_mut() };
        this.is_ready = !this.is_ready;
        if this.is_ready {
            return Poll::Pending;
        }
        info!("polled");
        Poll::Ready(this.left.checked_sub(1).inspect(|left| *this.left = *left))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        ((*self.left).into(), Some((*self.left).into()))
    }
}

impl Drop for Countdown<'_> {
    fn drop(&mut self) {
        info!("dropped");
    }
}

#[instrument]
fn countdown(left: &mut u8) -> impl Stream<Item = u8> + use<'_> {
    info!("made");
    Countdown { left, is_ready: false, _pinned: std::marker::PhantomPinned }
}

#[instrument(parent = None)]
fn boxed(left: &mut u8) -> Pin<Box<dyn streams::Stream<Item = u8> + '_>> {
    Box::pin(Countdown { left, is_ready: false, _pinned: std::marker::PhantomPinned })
}

fn next<T>(stream: Pin<&mut (impl Stream<Item = T> + ?Sized)>) -> Poll<Option<T>> {
    stream.poll_next(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_stream_is_polled_in_its_span_until_it_gives_none() {
    let all = records(|| {
        let _outer = span!("outer");
        let mut left = 1;
        let mut stream = Box::pin(countdown(&mut left));
        info!("between");
        assert_eq!(stream.size_hint(), (1, Some(1)));
        for expected in [Poll::Pending, Poll::Ready(Some(0)), Poll::Pending, Poll::Ready(None)] {
            assert_eq!(next(stream.as_mut()), expected);
        }
        info!("after");
    });
    let (stream, _, root) = span(&all, "countdown");
    let Told::Span { status, busy, .. } = one(&all, "countdown") else { panic!() };
    assert_eq!((*status, busy.is_some()), (Status::Unset, true));
    assert_eq!(event(&all, "made"), (stream, root));
    let outer = span(&all, "outer").0;
    assert_eq!((event(&all, "between").0, event(&all, "after").0), (outer, outer));
    let polls: Vec<_> = all.iter().filter(|told| told.name() == "polled").collect();
    assert!(
        polls.len() == 2
            && polls.iter().all(|poll| matches!(poll, Told::Event { span, .. } if *span == stream))
    );
}

#[test]
fn a_stream_that_is_dropped_before_its_end_is_cancelled_and_dropped_in_its_span() {
    let all = records(|| {
        let mut left = 3;
        let mut stream = boxed(&mut left);
        assert_eq!([next(stream.as_mut()), next(stream.as_mut())], [Poll::Pending, Poll::Ready(Some(2))]);
    });
    let (stream, parent, _) = span(&all, "boxed");
    assert_eq!((parent, event(&all, "dropped").0), (0, stream));
    assert!(matches!(one(&all, "boxed"), Told::Span { status: Status::Cancelled, .. }));
}
