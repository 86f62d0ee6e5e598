//! Properties of all formats: what is written is read again, and no header does any harm.

use super::super::{Baggage, Carried, Extractor, Format, Propagator, TraceState};
use super::{Headers, written};
use proptest::collection::vec;
use proptest::prelude::*;
use throughline::{SpanId, TraceContext, TraceId};

fn context() -> impl Strategy<Value = TraceContext> {
    // The lower half of a trace id is 0 in no format but W3C's.
    (any::<u64>(), 1..=u64::MAX, 1..=u64::MAX, 0..=1u8).prop_map(|(high, low, span, flags)| TraceContext {
        trace_id: TraceId::from_bytes((u128::from(high) << 64 | u128::from(low)).to_be_bytes()).unwrap(),
        span_id: SpanId::from_bytes(span.to_be_bytes()).unwrap(),
        flags,
    })
}

fn carried() -> impl Strategy<Value = Carried> {
    let state = vec(("[a-z0-9][a-z0-9_*/-]{0,9}", "[ -+\\--<>-~]{0,9}[!-+\\--<>-~]"), 0..5);
    let baggage = vec(("[a-zA-Z0-9._-]{1,9}", ".{0,20}"), 0..5);
    (context(), state, baggage).prop_map(|(parent, state, baggage)| {
        let mut carried = Carried { parent: Some(parent), ..Carried::default() };
        for (key, value) in state {
            assert!(carried.trace_state.set(&key, &value), "{key}={value}");
        }
        for (name, value) in baggage {
            assert!(carried.baggage.set(&name, &value), "{name}={value}");
        }
        carried
    })
}

/// Headers that a format may know, with values that are nearly right.
fn hostile() -> impl Strategy<Value = Headers> {
    let names: Vec<&str> = Format::ALL.iter().flat_map(|(_, format)| format.headers()).collect();
    let name = prop_oneof![4 => prop::sample::select(names).prop_map(str::to_owned), 1 => "uberctx-.{0,5}"];
    let value = prop_oneof![
        ".{0,80}",
        "[0-9a-f]{2}-[0-9a-f]{30,33}-[0-9a-f]{15,17}-[0-9a-f]{1,3}.{0,3}",
        "([a-z@]{0,5}=?[!-~äß%]{0,5}[,;]){0,80}",
        "[0-9a-fA-F:;=%-]{0,60}",
        "Root=1-[0-9a-f]{7,9}-[0-9a-f]{23,25};Parent=[0-9a-f]{15,17};Sampled=.?",
        Just("k=v,".repeat(5000)),
        Just("%".repeat(20_000)),
    ];
    vec((name, value), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_written_is_read_again(carried in carried()) {
        for (name, format) in Format::ALL {
            let headers = written(format, &carried);
            let mut back = Carried::default();
            format.extract(&headers, &mut back);
            if format != Format::Baggage {
                prop_assert_eq!(back.parent, carried.parent, "{}", name);
                prop_assert!(!back.is_undecided);
            }
            if format == Format::TraceContext {
                prop_assert_eq!(&back.trace_state, &carried.trace_state);
            }
            if matches!(format, Format::Baggage | Format::Jaeger) {
                let pairs = |baggage: &Baggage| baggage.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect::<Vec<_>>();
                if format == Format::Baggage {
                    prop_assert_eq!(pairs(&back.baggage), pairs(&carried.baggage));
                } else {
                    // Headers' names have no case.
                    prop_assert!(back.baggage.len() <= carried.baggage.len());
                }
            }
            let known = format.headers();
            prop_assert!(headers.iter().all(|(name, _)| known.contains(&name.as_str()) || name.starts_with("uberctx-")));
        }
        let binary = carried.parent.unwrap().to_bytes();
        prop_assert_eq!(TraceContext::from_bytes(&binary), carried.parent);
    }

    #[test]
    fn no_header_panics_or_grows_without_bound(headers in hostile()) {
        let formats = Format::ALL.map(|(_, format)| format);
        let mut carried = Carried::default();
        formats[..].extract(&headers as &dyn Extractor, &mut carried);
        let state = carried.trace_state.to_string();
        prop_assert!(carried.trace_state.iter().count() <= 32 && state.len() <= 32 * 514);
        prop_assert!(carried.baggage.len() <= 64 && carried.baggage.to_string().len() <= 8192);
        if !state.is_empty() {
            prop_assert_eq!(TraceState::parse(&state), Some(carried.trace_state.clone()));
        }
        // What goes on is as valid as if it had come from here.
        let mut out = Headers::new();
        formats[..].inject(&carried, &mut out);
        for (name, value) in &out {
            prop_assert!(value.bytes().all(|b| matches!(b, b' '..=b'~' | b'\t')), "{}: {}", name, value);
        }
        let mut again = Carried::default();
        formats[..].extract(&out, &mut again);
        prop_assert_eq!(again.parent.map(|it| (it.trace_id, it.span_id)), carried.parent.map(|it| (it.trace_id, it.span_id)));
    }

    #[test]
    fn no_message_panics(bytes in vec(any::<u8>(), 0..40)) {
        if let Some(context) = TraceContext::from_bytes(&bytes) {
            prop_assert!(bytes.len() >= 26);
            prop_assert_eq!(&context.to_bytes()[1..], &bytes[1..26]);
        }
    }
}
