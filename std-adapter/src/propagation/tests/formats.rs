//! The formats of Zipkin, Jaeger, AWS and Datadog: examples from their specifications, and what they refuse.

use super::super::{Carried, Format, Propagator};
use super::{parent, read, written};
use std::collections::HashMap;

const SAMPLED: &str = "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01";
const DROPPED: &str = "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-00";
const SHORT: &str = "00-000000000000000064fe8b2a57d3eff7-e457b5a2e4d86bd1-01";

fn sampled() -> Carried {
    read(Format::TraceContext, &[("traceparent", SAMPLED)])
}

#[test]
fn b3_in_one_header() {
    let cases = [
        ("80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90", Some(SAMPLED)),
        ("80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1", Some(SAMPLED)),
        ("80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-d", Some(SAMPLED)),
        ("80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-0", Some(DROPPED)),
        ("80F198EE56343BA864FE8B2A57D3EFF7-E457B5A2E4D86BD1-1", Some(SAMPLED)),
        ("64fe8b2a57d3eff7-e457b5a2e4d86bd1-1", Some(SHORT)),
        ("1", None),
        ("80f198ee56343ba864fe8b2a57d3eff7", None),
        ("80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd-1", None),
        ("80f198ee56343ba864fe8b2a57d3eff-e457b5a2e4d86bd1-1", None),
        ("80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-2", None),
        ("80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-5", None),
        ("80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90-1", None),
        ("00000000000000000000000000000000-e457b5a2e4d86bd1-1", None),
        ("+0f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1", None),
        ("80f198ee56343ba864fe8b2a57d3eff7-äääääääää-1", None),
        ("", None),
    ];
    for (value, expected) in cases {
        assert_eq!(parent(Format::B3, &[("b3", value)]).as_deref(), expected, "{value}");
    }
    let open = read(Format::B3, &[("b3", "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1")]);
    assert!(open.is_undecided && open.parent.is_some(), "the receiver decides");
    let headers = [("b3".to_owned(), "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1".to_owned())];
    assert_eq!(written(Format::B3, &sampled()), headers);
}

#[test]
fn b3_without_ids_may_only_say_that_nothing_is_recorded() {
    for headers in [&[("b3", "0")][..], &[("X-B3-Sampled", "0")], &[("b3", "0"), ("X-B3-Sampled", "1")]] {
        let carried = read(Format::B3, headers);
        assert!(
            carried.is_denied && !carried.is_undecided && !carried.parent.unwrap().sampled(),
            "{headers:?}"
        );
        assert_ne!(carried.parent.unwrap().trace_id, read(Format::B3, headers).parent.unwrap().trace_id);
    }
    let id = ("X-B3-TraceId", "80f198ee56343ba864fe8b2a57d3eff7");
    for headers in
        [&[("b3", "1")][..], &[("X-B3-Sampled", "1")], &[("X-B3-Flags", "1")], &[id, ("X-B3-Sampled", "0")]]
    {
        assert_eq!(read(Format::B3, headers), Carried::default(), "{headers:?}");
    }
}

#[test]
fn b3_in_several_headers() {
    let ids = [("X-B3-TraceId", "80f198ee56343ba864fe8b2a57d3eff7"), ("X-B3-SpanId", "e457b5a2e4d86bd1")];
    for (name, value, expected) in [
        ("X-B3-Sampled", "1", SAMPLED),
        ("X-B3-Sampled", "true", SAMPLED),
        ("X-B3-Sampled", "0", DROPPED),
        ("X-B3-Flags", "1", SAMPLED),
        ("X-B3-ParentSpanId", "05e3ac9a4f6e3b90", DROPPED),
    ] {
        let carried = read(Format::B3Multi, &[ids[0], ids[1], (name, value)]);
        assert_eq!(carried.parent.unwrap().traceparent().as_str(), expected, "{name}: {value}");
        assert_eq!(carried.is_undecided, name == "X-B3-ParentSpanId");
    }
    for bad in [&ids[..1], &ids[1..], &[ids[0], ("X-B3-SpanId", "e457")], &[("X-B3-TraceId", "x"), ids[1]]] {
        assert_eq!(parent(Format::B3Multi, bad), None, "{bad:?}");
    }
    let both = [ids[0], ids[1], ("b3", "64fe8b2a57d3eff7-e457b5a2e4d86bd1-1")];
    assert_eq!(parent(Format::B3Multi, &both).as_deref(), Some(SHORT), "the single header goes first");
    let headers = written(Format::B3Multi, &sampled());
    let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, Format::B3Multi.headers());
}

#[test]
fn several_formats_name_the_headers_of_all() {
    let formats = [Format::B3, Format::TraceContext, Format::B3];
    assert_eq!(formats[..].headers(), ["b3", "traceparent", "tracestate"]);
}

#[test]
fn jaeger() {
    for (value, expected) in [
        ("80f198ee56343ba864fe8b2a57d3eff7:e457b5a2e4d86bd1:0:1", Some(SAMPLED)),
        ("80f198ee56343ba864fe8b2a57d3eff7%3Ae457b5a2e4d86bd1%3A0%3A3", Some(SAMPLED)),
        ("80f198ee56343ba864fe8b2a57d3eff7:e457b5a2e4d86bd1:05e3ac9a4f6e3b90:0", Some(DROPPED)),
        ("64fe8b2a57d3eff7:e457b5a2e4d86bd1::01", Some(SHORT)),
        ("80f198ee56343ba864fe8b2a57d3eff7:0:0:1", None),
        ("80f198ee56343ba864fe8b2a57d3eff7:e457b5a2e4d86bd1:1", None),
        ("80f198ee56343ba864fe8b2a57d3eff7:e457b5a2e4d86bd1:0:1:1", None),
        ("80f198ee56343ba864fe8b2a57d3eff7:e457b5a2e4d86bd1:0:", None),
        ("180f198ee56343ba864fe8b2a57d3eff7:e457b5a2e4d86bd1:0:1", None),
    ] {
        assert_eq!(parent(Format::Jaeger, &[("uber-trace-id", value)]).as_deref(), expected, "{value}");
    }
    let short = "00-00000000000000000000000000000001-0000000000000002-01";
    assert_eq!(
        parent(Format::Jaeger, &[("uber-trace-id", "1:2:0:1")]).as_deref(),
        Some(short),
        "no zeros in front"
    );
    let carried = read(Format::Jaeger, &[("UberCtx-User", "ada%20l"), ("uberctx-", "x"), ("uberctx-n", "1")]);
    assert_eq!(carried.baggage.iter().collect::<Vec<_>>(), [("User", "ada l"), ("n", "1")]);
    let mut carried = sampled();
    carried.baggage.set("user", "ada l");
    let headers = written(Format::Jaeger, &carried);
    assert_eq!(headers[0].1, "80f198ee56343ba864fe8b2a57d3eff7:e457b5a2e4d86bd1:0:1");
    assert_eq!(headers[1], ("uberctx-user".to_owned(), "ada%20l".to_owned()));
}

#[test]
fn aws_x_ray() {
    let root = "Root=1-80f198ee-56343ba864fe8b2a57d3eff7";
    for (value, expected) in [
        (format!("{root};Parent=e457b5a2e4d86bd1;Sampled=1"), Some(SAMPLED)),
        (format!("Sampled=0; Parent=e457b5a2e4d86bd1; {root}"), Some(DROPPED)),
        (
            format!(
                "Self=1-67891233-abcdef012345678912345678;{root};Parent=e457b5a2e4d86bd1;Sampled=1;Lineage=25:a87bd80c:1"
            ),
            Some(SAMPLED),
        ),
        (format!("{root};Parent=e457b5a2e4d86bd1;Sampled=?"), Some(DROPPED)),
        (format!("{root};Sampled=1"), None),
        ("Root=2-80f198ee-56343ba864fe8b2a57d3eff7;Parent=e457b5a2e4d86bd1".into(), None),
        ("Root=1-80f198e-e56343ba864fe8b2a57d3eff7;Parent=e457b5a2e4d86bd1".into(), None),
        (format!("{root};Parent=e457b5a2e4d86b"), None),
        ("=;;==;Root".into(), None),
    ] {
        let carried = read(Format::XRay, &[("X-Amzn-Trace-Id", &value)]);
        assert_eq!(carried.parent.map(|it| it.traceparent().to_string()).as_deref(), expected, "{value}");
        assert_eq!(carried.is_undecided, value.contains('?'));
    }
    let headers = written(Format::XRay, &sampled());
    assert_eq!(headers[0].1, format!("{root};Parent=e457b5a2e4d86bd1;Sampled=1"));
}

#[test]
fn datadog() {
    let (trace, span) = ("7277407061855694839", "16453819474850114513");
    let ids = [("x-datadog-trace-id", trace), ("x-datadog-parent-id", span)];
    let tags = ("x-datadog-tags", "_dd.p.dm=-4,_dd.p.tid=80f198ee56343ba8");
    for (priority, expected) in [("1", SAMPLED), ("2", SAMPLED), ("0", DROPPED), ("-1", DROPPED)] {
        let headers = [ids[0], ids[1], tags, ("x-datadog-sampling-priority", priority)];
        assert_eq!(parent(Format::Datadog, &headers).as_deref(), Some(expected), "{priority}");
    }
    let open = read(Format::Datadog, &[ids[0], ids[1]]);
    assert_eq!(open.parent.unwrap().traceparent().as_str(), SHORT.replace("-01", "-00"));
    assert!(open.is_undecided);
    for bad in ["0", "", "-1", "+1", "18446744073709551616", "abc"] {
        assert_eq!(parent(Format::Datadog, &[("x-datadog-trace-id", bad), ids[1]]), None, "{bad}");
        assert_eq!(parent(Format::Datadog, &[ids[0], ("x-datadog-parent-id", bad)]), None, "{bad}");
    }
    let headers = written(Format::Datadog, &sampled());
    assert_eq!((headers[0].1.as_str(), headers[1].1.as_str()), (trace, span));
    assert_eq!(headers[3].1, "_dd.p.tid=80f198ee56343ba8");
    assert_eq!(headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), Format::Datadog.headers());
}

#[test]
fn of_several_formats_the_first_with_a_parent_counts_and_all_are_written() {
    let formats = [Format::B3, Format::TraceContext, Format::Baggage, Format::Jaeger];
    let headers: HashMap<String, String> = [
        ("b3", "0"),
        ("traceparent", SAMPLED),
        ("tracestate", "a=1"),
        ("baggage", "x=1,y=1"),
        ("uber-trace-id", "1:2:0:1"),
        ("uberctx-y", "2"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let mut carried = Carried::default();
    formats[..].extract(&headers, &mut carried);
    assert_eq!(carried.parent.unwrap().traceparent().as_str(), SAMPLED);
    assert_eq!(carried.trace_state.to_string(), "a=1");
    assert_eq!(carried.baggage.iter().collect::<Vec<_>>(), [("x", "1"), ("y", "2")]);
    let mut out = HashMap::new();
    formats[..].inject(&carried, &mut out);
    let mut names: Vec<_> = out.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["b3", "baggage", "traceparent", "tracestate", "uber-trace-id", "uberctx-x", "uberctx-y"]
    );
}

#[test]
fn names_are_those_of_opentelemetry() {
    for (name, format) in Format::ALL {
        assert_eq!(name.parse(), Ok(format));
    }
    let error = "ottrace".parse::<Format>().unwrap_err().to_string();
    assert!(error.starts_with("`ottrace` is not a format of context; use tracecontext"), "{error}");
}

#[cfg(feature = "http")]
#[test]
fn headers_of_http_are_a_carrier() {
    let mut headers = http::HeaderMap::new();
    headers.insert("traceparent", http::HeaderValue::from_static(SAMPLED));
    headers.append("tracestate", http::HeaderValue::from_static("a=1"));
    headers.append("tracestate", http::HeaderValue::from_static("b=2"));
    headers.insert("uberctx-user", http::HeaderValue::from_static("ada"));
    let formats = [Format::TraceContext, Format::Jaeger];
    let mut carried = Carried::default();
    formats[..].extract(&headers, &mut carried);
    assert_eq!(carried.trace_state.to_string(), "a=1,b=2");
    assert_eq!(carried.baggage.get("user"), Some("ada"));
    let mut out = http::HeaderMap::new();
    out.append("tracestate", http::HeaderValue::from_static("old=1"));
    formats[..].inject(&carried, &mut out);
    assert_eq!(out.get_all("tracestate").iter().collect::<Vec<_>>(), ["a=1,b=2"]);
    assert_eq!(out["uberctx-user"], "ada");
    headers.append("traceparent", http::HeaderValue::from_static(SAMPLED));
    assert_eq!(parent_in(&headers), None, "two of them");
}

#[cfg(feature = "http")]
fn parent_in(headers: &http::HeaderMap) -> Option<throughline::TraceContext> {
    let mut carried = Carried::default();
    Format::TraceContext.extract(headers, &mut carried);
    carried.parent
}
