//! What `#[instrument]` records for futures, and how they end.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use consumer::expansions::functions::{self, Failure, Pump, Run as _};
use throughline::{info, instrument};

use crate::harness::{recorded, run};

#[test]
fn async_functions_are_recorded_as_others_are() {
    let lines = recorded(|| {
        run(functions::future(1, "long"));
        assert_eq!(run(functions::future_result(0)), Err(Failure("zero")));
        assert_eq!(run(functions::future_result(1)), Ok(1));
        assert_eq!(format!("{:?}", run(functions::future_of_trait_object(&3))), "3");
        assert_eq!(run(functions::future_of_impl(1)).count(), 1);
        assert_eq!(run(functions::future_of_generic("x", 1)), ("x", 2));
        assert_eq!(run(functions::reexported(1)), Ok(1));
        let mut pump = Pump { id: 1 };
        assert_eq!(*run(pump.in_future(3)), 4);
        assert_eq!(run(pump.required()), Err(Failure("required")));
    });
    let expected = [
        "fields a=1u b=\"long\" in future",
        "span future",
        "fields error.message=\"zero\" in future_result",
        "span future_result DEBUG a=0u twice=0u Error",
        "fields return=\"1\" in future_result",
        "span future_result DEBUG a=1u twice=2u",
        "fields return=\"3\" in future_of_trait_object",
        "span future_of_trait_object n=3u",
        "span future_of_impl n=1u",
        "span future_of_generic n=1u",
        "fields return=\"1\" in reexported",
        "span reexported n=1u",
        "fields n=3u self=\"Pump { id: 1 }\" in in_future",
        "span in_future",
        "fields error.message=\"required\" in required",
        "span required Error",
    ];
    assert_eq!(lines, expected);
}

/// A future that is pending once.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|_| if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

#[instrument(err)]
async fn stepwise(task: u8, owned: String) -> Result<(), Failure> {
    info!("before");
    yield_now().await;
    info!("after");
    drop(owned);
    Ok(())
}

#[test]
fn a_future_is_send_if_its_body_is() {
    fn assert_send<T: Send>(future: T) -> T {
        future
    }
    drop(assert_send(stepwise(1, String::new())));
    drop(assert_send(functions::future(1, "")));
    drop(assert_send(functions::future_result(1)));
    drop(assert_send(functions::future_of_generic(1_u8, 1)));
    drop(assert_send(Boxed.work(1)));
}

#[test]
fn futures_that_take_turns_keep_their_spans_apart() {
    let lines = recorded(|| {
        let _outer = throughline::span!("outer");
        let (mut a, mut b) = (pin!(stepwise(1, "a".into())), pin!(stepwise(2, "b".into())));
        let mut context = Context::from_waker(Waker::noop());
        assert!(a.as_mut().poll(&mut context).is_pending());
        assert!(b.as_mut().poll(&mut context).is_pending());
        info!("between");
        assert!(a.as_mut().poll(&mut context).is_ready());
        assert!(b.as_mut().poll(&mut context).is_ready());
    });
    let expected = [
        "fields task=1u owned=\"a\" in stepwise",
        "event \"before\" in stepwise",
        "fields task=2u owned=\"b\" in stepwise",
        "event \"before\" in stepwise",
        "event \"between\" in outer",
        "event \"after\" in stepwise",
        "span stepwise in outer",
        "event \"after\" in stepwise",
        "span stepwise in outer",
        "span outer",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_future_dropped_midway_is_cancelled_and_one_never_polled_leaves_nothing() {
    let lines = recorded(|| {
        drop(functions::future(1, "long"));
        let mut future = Box::pin(stepwise(1, String::new()));
        assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(future);
        info!("outside");
    });
    let expected = [
        "fields task=1u owned=\"\" in stepwise",
        "event \"before\" in stepwise",
        "span stepwise Cancelled",
        "event \"outside\"",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn of_a_function_that_makes_a_future_the_span_is_that_of_both() {
    let lines = recorded(|| {
        let future = functions::made_future(1);
        info!("made");
        run(future);
    });
    assert_eq!(lines, ["event \"made\"", "span made_future n=1u"]);
}

#[async_trait::async_trait]
trait Work {
    async fn work(&self, n: u8) -> Result<u8, Failure>;
    #[instrument]
    async fn provided(&self, n: u8) -> u8 {
        yield_now().await;
        n
    }
}

struct Boxed;

#[async_trait::async_trait]
impl Work for Boxed {
    #[instrument(err, ret, fields(boxed = true))]
    async fn work(&self, n: u8) -> Result<u8, Failure> {
        yield_now().await;
        info!("within");
        n.checked_sub(1).ok_or(Failure("none left"))
    }
}

type Parsed = Result<u8, Box<dyn std::error::Error>>;

#[instrument(err)]
fn by_hand(n: u8) -> Pin<Box<dyn Future<Output = Parsed>>> {
    let n = n + 1;
    Box::pin(async move {
        yield_now().await;
        let n: u8 = n.to_string().parse()?;
        if n > 1 {
            Err("too many")?
        }
        Ok(n)
    })
}

#[test]
fn of_a_function_that_boxes_a_future_the_future_is_recorded() {
    let lines = recorded(|| {
        assert_eq!(run(Boxed.work(1)), Ok(0));
        assert_eq!(run(Boxed.work(0)), Err(Failure("none left")));
        assert_eq!(run(Boxed.provided(3)), 3);
        let future = by_hand(0);
        info!("made");
        assert_eq!(run(future).ok(), Some(1));
        assert!(run(by_hand(1)).is_err());
    });
    let expected = [
        "event \"within\" in work",
        "fields return=\"0\" in work",
        "span work n=1u boxed=true",
        "event \"within\" in work",
        "fields error.message=\"none left\" in work",
        "span work n=0u boxed=true Error",
        "span provided n=3u",
        "event \"made\"",
        "span by_hand n=1u",
        "fields error.message=\"too many\" in by_hand",
        "span by_hand n=2u Error",
    ];
    assert_eq!(lines, expected);
}
