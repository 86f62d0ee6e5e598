//! Tests of the formats against their specifications, and of the current context.

mod formats;
mod places;
mod properties;
mod w3c;

use super::{Carried, Format, Propagator};

type Headers = Vec<(String, String)>;

/// What a format reads from these headers.
fn read(format: Format, headers: &[(&str, &str)]) -> Carried {
    let mut carried = Carried::default();
    format.extract(&headers, &mut carried);
    carried
}

/// What a format writes.
fn written(format: Format, carried: &Carried) -> Headers {
    let mut headers = Headers::new();
    format.inject(carried, &mut headers);
    headers
}

/// The parent that a format reads, as a `traceparent`.
fn parent(format: Format, headers: &[(&str, &str)]) -> Option<String> {
    read(format, headers).parent.map(|parent| parent.traceparent().to_string())
}
