//! What is recorded of the idioms of `tracing` and of OpenTelemetry.

use std::borrow::Cow;
use std::pin::pin;

use consumer::expansions::idioms::{self, Source as _};
use throughline::{info, span};

use crate::harness::{recorded, run};

#[test]
fn fields_are_recorded_under_names_known_when_it_runs() {
    let expected = [
        "fields throughline.key=\"rows\" throughline.value=42 in record",
        "fields throughline.key=\"host\" throughline.value=\"text\" in record",
        "fields throughline.key=\"user\" throughline.value=\"7\" in record",
        "fields throughline.key=\"plan\" throughline.value=\"Some(1)\" in record",
        "fields rows=43 in record",
        "span record",
    ];
    assert_eq!(recorded(|| idioms::record_by_name("host")), expected);
}

#[test]
fn the_current_span_takes_fields_names_links_and_children() {
    let lines = recorded(idioms::current_span);
    let (links, others): (Vec<_>, Vec<_>) =
        lines.iter().map(String::as_str).partition(|line| line.contains("throughline.link"));
    let expected = [
        "fields throughline.key=\"in\" throughline.value=\"inner\" in inner",
        "fields throughline.name=\"renamed\" in inner",
        "fields throughline.key=\"in\" throughline.value=\"outer\" in outer",
        "event \"within\" in outer",
        "fields again=true in outer",
        "span inner in outer",
        "span child DEBUG in inner",
        "span outer",
    ];
    assert_eq!(others, expected);
    assert!(links.len() == 2 && links.iter().all(|line| line.ends_with("in child")), "{links:?}");
    assert_eq!(recorded(idioms::current_of_none), [""; 0]);
}

#[test]
fn a_name_without_a_value_declares_a_field() {
    let expected = [
        "fields throughline.key=\"rows\" throughline.value=3 in declared_fields",
        "fields user.id=7 in declared_fields",
        "span declared_fields key=5u",
    ];
    assert_eq!(recorded(|| idioms::declared_fields(5)), expected);
}

#[test]
fn a_future_runs_in_the_span_that_is_current_when_it_is_made() {
    let lines = recorded(|| {
        let request = span!("request");
        let future = idioms::future_of(3);
        drop(request);
        assert_eq!((run(future), run(idioms::in_the_current_span())), (3, 4));
    });
    assert_eq!(lines, ["span request", "event \"part\""]);
}

#[test]
fn messages_and_options_are_as_elsewhere() {
    let lines = recorded(|| {
        idioms::messages();
        let span = span!("place");
        let inner = span!("inner");
        idioms::options(&span);
        drop(inner);
    });
    let expected = [
        "event \"took {ms} ms, {name:?} {mask:#04x} {ratio:.1} {ms:>8}\" ms=12 name=\"ada\" mask=173u ratio=1.25f64",
        "event \"{ms} of {name:?} {ms}\" ms=12 name=\"ada\"",
        "event \"{arg0}\" arg0=shown \"  1.25\"",
        "event \"{text}\" text=shown \"1.25\"",
        "event \"at a place\" in place",
        "event \"with a level\" WARN n=1 in inner",
        "span child n=1 in place",
        "span inner in place",
        "span place",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn values_are_found_behind_references_boxes_and_options() {
    let error = "x".parse::<u8>().unwrap_err();
    let lines =
        recorded(|| idioms::values_behind_others(&"owned".into(), &Cow::Borrowed("borrowed"), &error));
    let expected = [
        "event \"texts\" text=\"owned\" cow=\"borrowed\" some=\"owned\" owned=\"owned\" boxed=\"owned\"",
        "event \"shared\" shared=\"shared\" some=\"shared\" numbers=List(List { code: 2, elements: [1, 0, 0, 0, 2, 0, 0, 0] })",
        "event \"wrapped\" non_zero=1u wrapping=3",
        "event \"shown {two} {arg0:?}\" arg0=5u two=2u",
        "event \"errors\" error=\"invalid digit found in string\" some=\"invalid digit found in string\" time=Duration(1.5s)",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_stream_is_polled_in_the_span_of_its_function() {
    let lines = recorded(|| {
        let mut stream = pin!(idioms::stream(1));
        info!("between");
        assert_eq!((idioms::first(stream.as_mut()), idioms::first(stream.as_mut())), (Some(0), None));
        assert_eq!(idioms::first(idioms::boxed_stream("", "").as_mut()), None);
        assert_eq!(idioms::first(idioms::boxed_stream("two", "").as_mut()), Some(1));
        assert_eq!(idioms::first(pin!(0_u8.items())), None);
    });
    let expected = [
        "event \"between\"",
        "event \"polled\" in stream",
        "event \"polled\" in stream",
        "span stream from=1u",
        "event \"polled\" in boxed_stream",
        "span boxed_stream len=0u",
        "event \"polled\" in boxed_stream",
        "span boxed_stream len=3u Cancelled",
        "event \"polled\" in items",
        "span items from=0u",
    ];
    assert_eq!(lines, expected);
}
