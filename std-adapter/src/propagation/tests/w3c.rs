//! The rules of W3C Trace Context and W3C Baggage, case by case. The cases are those of the specifications and of
//! W3C's own test suite for servers (<https://github.com/w3c/trace-context/blob/main/test/test.py>), under its names.

use super::super::{Baggage, Format, TraceState};
use super::{parent, read, written};

const TRACE: &str = "12345678901234567890123456789012";
const GOOD: &str = "00-12345678901234567890123456789012-1234567890123456-01";

fn traceparent(value: &str) -> Option<String> {
    parent(Format::TraceContext, &[("traceparent", value)])
}

/// The trace state that goes out when these headers came in.
fn tracestate(headers: &[&str]) -> String {
    let mut all = vec![("traceparent", GOOD)];
    all.extend(headers.iter().map(|value| ("tracestate", *value)));
    read(Format::TraceContext, &all).trace_state.to_string()
}

#[test]
fn traceparent_follows_the_rules_of_its_specification() {
    let with =
        |version: &str, trace: &str, span: &str, rest: &str| format!("{version}-{trace}-{span}-{rest}");
    let (span, ff) = ("1234567890123456", "ff");
    let refused = [
        ("test_traceparent_empty", String::new()),
        ("test_traceparent_version_0xff", with(ff, TRACE, span, "01")),
        ("test_traceparent_version_illegal_characters", with(".0", TRACE, span, "01")),
        ("test_traceparent_version_illegal_characters, 2", with("0.", TRACE, span, "01")),
        ("test_traceparent_version_too_long", with("000", TRACE, span, "01")),
        ("test_traceparent_version_too_short", with("0", TRACE, span, "01")),
        ("test_traceparent_trace_id_all_zero", with("00", &"0".repeat(32), span, "01")),
        (
            "test_traceparent_trace_id_illegal_characters",
            with("00", ".2345678901234567890123456789012", span, "01"),
        ),
        (
            "test_traceparent_trace_id_illegal_characters, 2",
            with("00", "1234567890123456789012345678901.", span, "01"),
        ),
        ("test_traceparent_trace_id_too_long", with("00", "123456789012345678901234567890123", span, "01")),
        ("test_traceparent_trace_id_too_short", with("00", "1234567890123456789012345678901", span, "01")),
        ("upper case", with("00", "1234567890123456789012345678901A", span, "01")),
        ("test_traceparent_parent_id_all_zero", with("00", TRACE, &"0".repeat(16), "01")),
        ("test_traceparent_parent_id_illegal_characters", with("00", TRACE, ".234567890123456", "01")),
        ("test_traceparent_parent_id_too_long", with("00", TRACE, "12345678901234567", "01")),
        ("test_traceparent_parent_id_too_short", with("00", TRACE, "123456789012345", "01")),
        ("test_traceparent_trace_flags_illegal_characters", with("00", TRACE, span, ".0")),
        ("test_traceparent_trace_flags_illegal_characters, 2", with("00", TRACE, span, "0.")),
        ("test_traceparent_trace_flags_too_long", with("00", TRACE, span, "001")),
        ("test_traceparent_trace_flags_too_short", with("00", TRACE, span, "1")),
        ("test_traceparent_version_0x00, longer", with("00", TRACE, span, "01.")),
        (
            "test_traceparent_version_0x00, with another part",
            with("00", TRACE, span, "01-what-the-future-will-be-like"),
        ),
        (
            "test_traceparent_version_0xcc, not a part",
            with("cc", TRACE, span, "01.what-the-future-will-be-like"),
        ),
        ("two in one", format!("{GOOD},{GOOD}")),
    ];
    for (case, value) in refused {
        assert_eq!(traceparent(&value), None, "{case}: {value}");
    }
    let later = with("cc", TRACE, span, "01-what-the-future-will-be-like");
    for (case, value) in [
        ("test_traceparent_version_0xcc", with("cc", TRACE, span, "01")),
        ("test_traceparent_version_0xcc, with another part", later),
        ("test_traceparent_ows_handling", format!("  {GOOD}\t")),
        ("as it is", GOOD.to_owned()),
    ] {
        assert_eq!(traceparent(&value).as_deref(), Some(GOOD), "{case}: {value}");
    }
}

#[test]
fn headers_are_found_whatever_their_case_and_only_when_they_are_one() {
    for name in ["traceparent", "TraceParent", "TRACEPARENT"] {
        assert_eq!(parent(Format::TraceContext, &[(name, GOOD)]).as_deref(), Some(GOOD), "{name}");
    }
    for name in ["trace-parent", "trace.parent", "traceparents"] {
        assert_eq!(parent(Format::TraceContext, &[(name, GOOD)]), None, "{name}");
    }
    // test_traceparent_duplicated, and two that are equal.
    let other = GOOD.replace("-01", "-00");
    for second in [GOOD, other.as_str()] {
        assert_eq!(parent(Format::TraceContext, &[("traceparent", GOOD), ("traceparent", second)]), None);
    }
    // test_tracestate_included_traceparent_missing: without a parent there is no state either.
    assert!(read(Format::TraceContext, &[("tracestate", "foo=1")]).trace_state.is_empty());
}

#[test]
fn tracestate_follows_the_rules_of_its_specification() {
    let many = |n: usize| (0..n).map(|i| format!("bar{i:02}={i:02}")).collect::<Vec<_>>().join(",");
    let (key, value) = ("a".repeat(256), "v".repeat(256));
    let (all, longest) = (many(32), format!("{key}={value}"));
    let tenant = format!("{}@{}=1", &key[..241], &key[..14]);
    let kept = [
        ("test_tracestate_included_traceparent_included", vec!["foo=1,bar=2"], "foo=1,bar=2".to_owned()),
        ("test_tracestate_multiple_headers_different_keys", vec!["foo=1,bar=2", "baz=3"], "foo=1,bar=2,baz=3".into()),
        ("test_tracestate_empty_header", vec!["foo=1", ""], "foo=1".into()),
        ("test_tracestate_empty_header, first", vec!["", "foo=1"], "foo=1".into()),
        ("test_tracestate_ows_handling", vec!["foo=1 \t , \t bar=2, \t baz=3"], "foo=1,bar=2,baz=3".into()),
        ("test_tracestate_ows_handling, around", vec!["foo=1\t \t,\t \tbar=2,\t \tbaz=3 "], "foo=1,bar=2,baz=3".into()),
        ("empty members", vec!["foo=1,,,bar=2,"], "foo=1,bar=2".into()),
        ("test_tracestate_member_count_limit", vec![&*all], all.clone()),
        ("test_tracestate_all_allowed_characters", vec!["abcdefghijklmnopqrstuvwxyz0123456789_-*/= !\"#$%&'()*+-./0123456789:;<>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"],
            "abcdefghijklmnopqrstuvwxyz0123456789_-*/= !\"#$%&'()*+-./0123456789:;<>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~".into()),
        ("a key of 256", vec![&*longest], longest.clone()),
        ("a tenant of 241 and a system of 14", vec![&*tenant], tenant.clone()),
        ("a value with spaces", vec!["foo=a b  c"], "foo=a b  c".into()),
    ];
    for (case, headers, expected) in kept {
        assert_eq!(tracestate(&headers), expected, "{case}");
    }
    let refused = [
        ("test_tracestate_duplicated_keys", "foo=1,foo=1".to_owned()),
        ("test_tracestate_duplicated_keys, others", "foo=1,bar=2,foo=3".into()),
        ("test_tracestate_member_count_limit", many(33)),
        ("test_tracestate_key_illegal_characters", "foo =1".into()),
        ("test_tracestate_key_illegal_characters, capital", "FOO=1".into()),
        ("test_tracestate_key_illegal_characters, dot", "foo.bar=1".into()),
        ("test_tracestate_key_illegal_vendor_format", "foo@=1,bar=2".into()),
        ("test_tracestate_key_illegal_vendor_format, 2", "@foo=1,bar=2".into()),
        ("test_tracestate_key_illegal_vendor_format, 3", "foo@@bar=1,bar=2".into()),
        ("test_tracestate_key_illegal_vendor_format, 4", "foo@bar@baz=1,bar=2".into()),
        ("test_tracestate_key_length_limit", format!("{key}a=1")),
        ("test_tracestate_key_length_limit, tenant", format!("{}@v=1", &key[..242])),
        ("test_tracestate_key_length_limit, system", format!("t@{}=1", &key[..15])),
        ("test_tracestate_value_illegal_characters", "foo=bar=baz".into()),
        ("test_tracestate_value_illegal_characters, none", "foo=,bar=3".into()),
        ("a value of 257", format!("foo={value}v")),
        ("a value that is not ASCII", "foo=ä".into()),
        ("no value", "foo".into()),
    ];
    for (case, header) in refused {
        assert_eq!(tracestate(&[&header]), "", "{case}: {header}");
        assert_eq!(TraceState::parse(&header), None, "{case}");
    }
}

#[test]
fn a_member_that_changes_comes_first_and_the_last_one_makes_room() {
    let mut state =
        TraceState::parse(&(0..32).map(|i| format!("k{i}={i}")).collect::<Vec<_>>().join(",")).unwrap();
    assert!(state.set("k5", "new"));
    assert_eq!(state.iter().next(), Some(("k5", "new")));
    assert_eq!((state.iter().count(), state.get("k31")), (32, Some("31")));
    assert!(state.set("ours", "1"));
    assert_eq!((state.iter().count(), state.get("k31"), state.get("k30")), (32, None, Some("30")));
    assert_eq!(state.iter().next(), Some(("ours", "1")));
    let before = state.clone();
    assert!(!state.set("Ours", "1") && !state.set("ours", "a,b") && !state.set("ours", ""));
    assert_eq!(state, before);
    state.remove("ours");
    assert_eq!(state.get("ours"), None);
}

#[test]
fn a_threshold_or_random_number_that_is_none_goes_no_further() {
    for (header, expected) in [
        ("ot=th:zz", ""),
        ("ot=th:zz;rv:abcdef12345678;x:1,other=1", "ot=rv:abcdef12345678;x:1,other=1"),
        ("ot=th:8;rv:8", "ot=th:8"),
        ("ot=th:123456789012345", ""),
        ("ot=th:;p:8", "ot=p:8"),
        ("other=th:zz", "other=th:zz"),
    ] {
        assert_eq!(TraceState::parse(header).unwrap().to_string(), expected, "{header}");
    }
}

#[test]
fn the_probability_travels_as_a_threshold() {
    // From OpenTelemetry's page "TraceState: Probability Sampling".
    for (probability, threshold) in [
        (1.0, "th:0"),
        (0.5, "th:8"),
        (0.25, "th:c"),
        (0.75, "th:4"),
        (1.0 / 3.0, "th:aaaaaaaaaaaa"),
        (0.01, "th:fd70a3d70a3d7"),
    ] {
        let mut state = TraceState::parse("ot=rv:abcdef12345678,other=1").unwrap();
        state.set_probability(Some(probability));
        let ot = state.get("ot").unwrap();
        assert!(ot.starts_with(threshold) && ot.ends_with(";rv:abcdef12345678"), "{probability}: {ot}");
        assert!((state.probability().unwrap() - probability).abs() < 1e-12, "{probability}");
        state.set_probability(None);
        assert_eq!(state.to_string(), "ot=rv:abcdef12345678,other=1");
    }
    let mut state = TraceState::default();
    state.set_probability(Some(0.5));
    assert_eq!(state.to_string(), "ot=th:8");
    state.set_probability(None);
    assert!(state.is_empty());
    let random = |state: &str| TraceState::parse(state).unwrap().randomness();
    assert_eq!(random("ot=th:8;rv:abcdef12345678"), Some(0xab_cdef_1234_5678));
    assert_eq!(["ot=rv:8", "ot=rv:ABCDEF12345678", "ot=rv:+bcdef12345678", "ot=th:8"].map(random), [None; 4]);
    for bad in ["ot=th:", "ot=th:xyz", "ot=th:123456789012345", "ot=th:+8", "ot=rv:8", "other=th:8"] {
        assert_eq!(TraceState::parse(bad).unwrap().probability(), None, "{bad}");
    }
}

#[test]
fn what_is_not_defined_of_the_flags_is_not_passed_on() {
    let carried = read(Format::TraceContext, &[("traceparent", &GOOD.replace("-01", "-ff"))]);
    assert_eq!(written(Format::TraceContext, &carried)[0].1, GOOD.replace("-01", "-03"));
}

#[test]
fn baggage_follows_the_rules_of_its_specification() {
    let baggage = |header: &str| read(Format::Baggage, &[("baggage", header)]).baggage;
    let cases = [
        ("key1=value1,key2=value2", vec![("key1", "value1"), ("key2", "value2")]),
        ("key1 = value1 ,\tkey2\t= value2", vec![("key1", "value1"), ("key2", "value2")]),
        (
            "key1=value1;property1;property2, key2 = value2, key3=value3; propertyKey=propertyValue",
            vec![("key1", "value1"), ("key2", "value2"), ("key3", "value3")],
        ),
        ("serverNode=DF%2028,userId=Am%C3%A9lie", vec![("serverNode", "DF 28"), ("userId", "Amélie")]),
        ("a=1,,b=2,", vec![("a", "1"), ("b", "2")]),
        ("a=", vec![("a", "")]),
        ("a=b=c", vec![("a", "b=c")]),
        ("a=%", vec![("a", "%")]),
        ("a=%ff", vec![("a", "\u{fffd}")]),
        ("a=1,b,c=3", vec![("a", "1"), ("c", "3")]),
        ("a b=1,=2,\"c\"=3,d=4", vec![("d", "4")]),
        ("a=ä,b=x y,c=\"q\",d=4", vec![("d", "4")]),
        ("a=1,b=2,a=3", vec![("a", "3"), ("b", "2")]),
    ];
    for (header, expected) in cases {
        assert_eq!(baggage(header).iter().collect::<Vec<_>>(), expected, "{header}");
    }
    let two = read(Format::Baggage, &[("baggage", "a=1"), ("Baggage", "b=2")]).baggage;
    assert_eq!(two.to_string(), "a=1,b=2");
    assert_eq!(baggage("a=1;p1;p2=x , b=2").to_string(), "a=1;p1;p2=x,b=2", "properties go on");
}

#[test]
fn baggage_has_limits() {
    let many = (0..65).map(|i| format!("k{i}={i}")).collect::<Vec<_>>().join(",");
    let baggage = Baggage::parse(&many);
    assert_eq!((baggage.len(), baggage.get("k63"), baggage.get("k64")), (64, Some("63"), None));
    let mut full = Baggage::default();
    assert!(full.set("k", &"v".repeat(8192 - 2)));
    assert_eq!(full.to_string().len(), 8192);
    assert!(!full.set("k", &"v".repeat(8192 - 1)) && !full.set("a", ""));
    full.remove("k");
    assert!(full.is_empty() && full.set("k", &"ä".repeat(8190 / 6)));
    assert!(full.to_string().len() <= 8192);
    assert!(!full.set("not a token", "1") && !full.set("", "1"));
    // A header beyond anything that the specification asks for is not even read.
    assert!(read(Format::Baggage, &[("baggage", &"k=v,".repeat(10_000))]).baggage.is_empty());
}
