//! What `#[instrument]` leaves unchanged, and what it adds.

use consumer::expansions::attributes;
use consumer::expansions::functions::Failure;
use consumer::expansions::shadowed;
use throughline::{Context, span};

use crate::harness::{recorded, run};

#[test]
fn bodies_made_by_macros_compile_19() {
    let lines = recorded(|| {
        assert_eq!(attributes::made_by_a_macro(), 7);
        assert_eq!(run(attributes::made_by_a_macro_async(3)), 8);
    });
    let expected = [
        "span made_by_a_macro",
        "fields return=\"8\" in made_by_a_macro_async",
        "span made_by_a_macro_async given=3u",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn the_callers_place_is_the_callers_19() {
    let lines = recorded(|| {
        assert_eq!(attributes::caller(), line!());
        assert_eq!(attributes::caller_and_result(0), Ok(line!()));
        assert_eq!(attributes::caller_and_result(1), Err(Failure("early")));
        assert_eq!(attributes::caller_and_result(2), Err(Failure("late")));
        assert_eq!(attributes::caller_and_result(3), Ok(line!()));
        assert_eq!(attributes::Method::default().caller(), Some(line!()));
    });
    let statuses: Vec<bool> =
        lines.iter().filter(|line| line.starts_with("span")).map(|l| l.ends_with("Error")).collect();
    assert_eq!(statuses, [false, false, true, true, false, false]);
    assert_eq!(lines.iter().filter(|line| line.starts_with("fields return")).count(), 4);
}

#[test]
fn names_in_the_body_are_the_bodys_19() {
    let lines = recorded(|| {
        assert_eq!(run(attributes::a_name_imported_in_the_body()), 1);
        assert_eq!(attributes::a_name_declared_in_the_body(1), 2);
    });
    assert_eq!(lines.len(), 3);
}

#[test]
fn every_name_may_be_shadowed_19() {
    let lines = recorded(|| {
        shadowed::calls();
        shadowed::metrics();
        assert_eq!(shadowed::attribute(1), Ok(1));
        assert_eq!(run(shadowed::attribute_async(2)), Ok(2));
        assert_eq!(shadowed::attribute_track_caller(Some(3)), Some(3));
        assert_eq!(run(shadowed::attribute_of_a_future(4)), 4);
    });
    let expected = [
        "fields a=1u text=\"t\" shown=\"1\" debug=\"1\" in span",
        "fields late=2.5f32 in span",
        "fields later=true in span",
        "event \"event {a} {arg0:04x} {a:?}\" WARN arg0=5u a=1u in child",
        "event \"info {arg0}\" arg0=0u",
        "event \"debug\" DEBUG a=1u in child",
        "span child DEBUG in span",
        "span span Client",
        "fields return=\"1\" in attribute",
        "span attribute a=1u twice=2u",
        "event \"\" DEBUG return=\"2\" in attribute_async",
        "span attribute_async a=2u",
        "fields return=\"Some(3)\" in attribute_track_caller",
        "span attribute_track_caller a=3u",
        "span attribute_of_a_future a=4u",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn functions_that_return_a_future_are_instrumented_as_async_ones_47() {
    let lines = recorded(|| {
        assert_eq!(run(attributes::future_by_impl(0)), Err(Failure("zero")));
        assert_eq!(run(attributes::future_in_a_box(&0)), Err(Failure("zero")));
        assert_eq!(run(attributes::future_in_a_box(&1)), Ok(1));
    });
    let expected = [
        "event \"making\" in future_by_impl",
        "event \"running\" in future_by_impl",
        "fields error.message=\"zero\" in future_by_impl",
        "span future_by_impl n=0u Error",
        "fields error.message=\"zero\" in future_in_a_box",
        "span future_in_a_box n=0u Error",
        "fields return=\"1\" in future_in_a_box",
        "span future_in_a_box n=1u",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn every_argument_is_recorded_in_the_way_it_can_be() {
    let lines = recorded(|| {
        let opaque = attributes::Opaque;
        let argument = attributes::Opaque;
        attributes::of_any_argument(
            opaque,
            Some(1),
            &argument,
            |n| n,
            Some("e".into()),
            vec!["f"],
            attributes::Opaque,
        );
    });
    let expected =
        ["fields b=\"Some(1)\" e=\"e\" f=\"[\\\"f\\\"]\" in of_any_argument", "span of_any_argument"];
    assert_eq!(lines, expected);
}

#[test]
fn parents_and_events_of_results() {
    let lines = recorded(|| {
        let outer = {
            let _outer = span!("outer");
            Context::current()
        };
        attributes::below_a_context(outer);
        let _around = span!("around");
        assert_eq!(attributes::apart(), 3);
        assert!(attributes::error_event().is_err());
    });
    let expected = [
        "span outer",
        "event \"within\" in below_a_context",
        "span below_a_context in outer",
        "event \"\" WARN return=\"3\" in apart",
        "span apart",
        "fields error.message=\"Failure(\\\"told\\\")\" in error_event",
        "event \"\" ERROR error.message=\"Failure(\\\"told\\\")\" in error_event",
        "span error_event Error in around",
        "span around",
    ];
    assert_eq!(lines, expected);
}
