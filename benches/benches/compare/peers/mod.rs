//! The other libraries, each set up as its own documentation recommends.

mod clock;
mod counter;
mod counter_family;
mod disabled;
pub(crate) mod encode;
mod event;
mod export;
mod histogram;
mod request;
mod ring;
mod sampled_out;
mod sinks;
mod span;
mod span_fields;

use crate::Subject;

/// The peers that implement `path`.
pub(crate) fn of(path: &str) -> &'static [Subject] {
    match path {
        "clock_read" => clock::SUBJECTS,
        "span" => span::SUBJECTS,
        "span_2fields" => span_fields::SUBJECTS,
        "event_2fields" => event::SUBJECTS,
        "disabled" => disabled::SUBJECTS,
        "sampled_out" => sampled_out::SUBJECTS,
        "counter" => counter::SUBJECTS,
        "counter_family" => counter_family::SUBJECTS,
        "histogram" => histogram::SUBJECTS,
        "request" => request::SUBJECTS,
        "ring" => ring::SUBJECTS,
        "encode" => encode::SUBJECTS,
        "export" => export::SUBJECTS,
        "export_grpc" => export::GRPC_SUBJECTS,
        _ => &[],
    }
}
