//! What users of `tracing` and of OpenTelemetry type without looking it up.

extern crate alloc;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::error::Error;
use core::future::Future;
use core::num::{NonZero, Wrapping};
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use throughline::{
    Empty, Instrument, Span, debug_span, enabled, event, field, info, info_span, instrument, record, span,
};

pub fn record_by_name(key: &str) {
    let span = info_span!("record", rows = Empty, user = field::Empty);
    span.record("rows", 42).record(key, "text");
    span.record("user", field::display(7)).record("plan", field::debug(Some(1)));
    record!(span, rows = 43);
}

pub fn current_span() {
    let outer = span!("outer");
    let inner = span!("inner");
    Span::current().record("in", "inner");
    Span::current().set_name("renamed");
    let kept = outer.context();
    kept.record("in", "outer");
    kept.in_scope(|| {
        info!("within");
        record!(current, again = true);
    });
    let _child = debug_span!(parent: Span::current(), "child");
    Span::current().follows_from(&outer);
    Span::current().follows_from(Span::current());
    drop(inner);
}

/// Nothing is current, and nothing is recorded.
pub fn current_of_none() {
    let here = Span::current();
    here.record("a", 1).record("b", 2);
    here.set_name("nothing");
    here.follows_from(here);
    assert_eq!(here.in_scope(|| 3), 3);
}

#[instrument(skip_all, fields(rows, user.id = Empty, key))]
pub fn declared_fields(key: u8) {
    Span::current().record("rows", 3);
    record!(current, user.id = 7);
}

pub async fn in_the_current_span() -> u8 {
    let part = async { info!("part") }.in_current_span();
    part.await;
    async { 4 }.instrument(Span::current()).await
}

pub fn messages() {
    let (ms, name, mask, ratio) = (12, "ada", 0xad_u8, 1.25);
    info!("took {ms} ms, {name:?} {mask:#04x} {ratio:.1} {ms:>8}");
    info!("{} of {:?} {0}", ms, name);
    let (width, precision) = (6, 2);
    info!("{}", format_args!("{ratio:width$.precision$}"));
    info!("{text}", text = format_args!("{ratio:.*}", precision));
}

pub fn options(span: &Span) {
    info!(target: "db", parent: span, name: "query", "at a place");
    event!(target: "db", Level::WARN, n = 1, "with a level");
    let _child = info_span!(target: "db", parent: span, "child", n = 1);
    assert!(enabled!(Level::ERROR) && enabled!(target: "db", Level::ERROR));
}

/// Values behind references, boxes and options, without a feature.
#[allow(clippy::ptr_arg, reason = "what is behind them is the test")]
pub fn values_behind_others(text: &String, cow: &Cow<'_, str>, error: &dyn Error) {
    let (some, none) = (Some(text), None::<&String>);
    let owned = Some(text.clone());
    info!("texts", text, cow, some, none, owned = &owned, boxed = Box::new(text.clone()));
    let shared: Arc<str> = Arc::from("shared");
    info!("shared", shared = &shared, some = Some(&shared), numbers = &Vec::from([1_u16, 2]));
    info!("wrapped", non_zero = NonZero::<u8>::MIN, wrapping = Wrapping(3_i64), none = NonZero::new(0_u32));
    let two = NonZero::<u8>::MIN.saturating_add(1);
    info!("shown {two} {:?}", Wrapping(5_u8));
    info!("errors", error, some = Some(error), time = Some(Duration::from_millis(1500)));
}

/// The trait as other crates have it: `#[instrument]` needs none of them.
pub trait Stream {
    type Item;
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>>;
    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, None)
    }
}

/// As those crates do.
impl<S: Stream + ?Sized> Stream for Pin<Box<S>> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.get_mut().as_mut().poll_next(cx)
    }
}

/// Counts down to 0.
pub struct Countdown(u8);

impl Stream for Countdown {
    type Item = u8;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<u8>> {
        info!("polled");
        Poll::Ready(self.0.checked_sub(1).inspect(|left| self.0 = *left))
    }
}

#[instrument]
pub fn stream(from: u8) -> impl Stream<Item = u8> + Send {
    Countdown(from)
}

#[instrument(skip_all, fields(len = text.len()))]
pub fn boxed_stream<'a>(text: &'a str, _more: &'a str) -> Pin<Box<dyn Stream<Item = u8> + 'a>> {
    if text.is_empty() {
        return Box::pin(Countdown(0));
    }
    Box::pin(Countdown(2))
}

/// A method of a trait, with a path in place of an imported name.
pub trait Source {
    fn items(&self) -> impl self::Stream<Item = u8>;
}

impl Source for u8 {
    #[instrument(name = "items", fields(from = *self))]
    fn items(&self) -> impl super::idioms::Stream<Item = u8> {
        Countdown(*self)
    }
}

pub fn first<S: Stream + ?Sized>(stream: Pin<&mut S>) -> Option<S::Item> {
    match stream.poll_next(&mut Context::from_waker(core::task::Waker::noop())) {
        Poll::Ready(item) => item,
        Poll::Pending => None,
    }
}

/// A future is still one of the trait's.
pub fn future_of(n: u8) -> impl Future<Output = u8> {
    async move { n }.in_current_span()
}
