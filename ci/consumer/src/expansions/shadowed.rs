//! Every macro in a scope where every name that it uses means something else.

#![allow(
    non_camel_case_types,
    non_upper_case_globals,
    non_snake_case,
    dead_code,
    unused_macros,
    clippy::upper_case_acronyms
)]

use ::throughline::{
    counter, counter_family, debug, debug_span, enabled, event, gauge, histogram, histogram_family, info,
    instrument, record, span, up_down_counter,
};

pub mod core {}
pub mod std {}
pub mod alloc {}
pub mod throughline_macros {}
pub mod __private {}

type bool = ();
type u8 = ();
type u16 = ();
type u32 = ();
type u64 = ();
type usize = ();
type i32 = ();
type i64 = ();
type isize = ();
type f32 = ();
type f64 = ();
type str = ();
struct String;
struct Box;
struct Vec;
struct Option;
struct Result;
struct Some;
struct None;
struct Ok;
struct Err;
struct Level;
struct Span;
struct SpanKind;
struct Status;
struct Meta;
struct Kind;
struct Field;
struct Given;
struct Info;
struct Debug;
struct Display;
const callsite: () = ();
const value: () = ();
const formatter: () = ();
const current_span: () = ();
static throughline_span: () = ();
static throughline_output: () = ();
static throughline_result: () = ();
const throughline_error: () = ();
const throughline_returned: () = ();
const throughline_future: () = ();
const throughline_left: () = ();
fn throughline_call() {}
fn call() {}
fn drop() {}
fn event() {}
fn below() {}

macro_rules! concat {
    ($($t:tt)*) => {
        compile_error!("the user's `concat!`")
    };
}
macro_rules! stringify {
    ($($t:tt)*) => {
        compile_error!("the user's `stringify!`")
    };
}
macro_rules! module_path {
    ($($t:tt)*) => {
        compile_error!("the user's `module_path!`")
    };
}
macro_rules! file {
    ($($t:tt)*) => {
        compile_error!("the user's `file!`")
    };
}
macro_rules! line {
    ($($t:tt)*) => {
        compile_error!("the user's `line!`")
    };
}
macro_rules! format_args {
    ($($t:tt)*) => {
        compile_error!("the user's `format_args!`")
    };
}
macro_rules! write {
    ($($t:tt)*) => {
        compile_error!("the user's `write!`")
    };
}
macro_rules! matches {
    ($($t:tt)*) => {
        compile_error!("the user's `matches!`")
    };
}
macro_rules! assert {
    ($($t:tt)*) => {
        compile_error!("the user's `assert!`")
    };
}
macro_rules! panic {
    ($($t:tt)*) => {
        compile_error!("the user's `panic!`")
    };
}
macro_rules! cfg {
    ($($t:tt)*) => {
        compile_error!("the user's `cfg!`")
    };
}

pub fn calls() {
    let a = 1_u32;
    let span = span!(target: "t", kind: Client, "span", a, text = "t", shown = %a, debug = ?a);
    record!(span, late = 2.5_f32);
    record!(current, later = true);
    let _child = debug_span!(parent: &span, "child");
    event!(Warn, "event {a} {:04x} {a:?}", 5_u16);
    info!(target: "t", parent: None, "info {}", ::core::time::Duration::ZERO.as_secs());
    if enabled!(Debug) {
        debug!(a, "debug");
    }
}

pub fn metrics() {
    counter!("shadowed.counter", unit = "By").add(1);
    up_down_counter!("shadowed.up_down").add(-1);
    gauge!("shadowed.gauge").set(1);
    histogram!("shadowed.histogram", scale = 1).record(1);
    counter_family!("shadowed.counters", labels = ["a"], capacity = 1).add(["x"], 1);
    histogram_family!("shadowed.histograms", labels = ["a"], capacity = 1).record(["x"], 1);
}

#[instrument(err, ret, target = "t", fields(twice = 2 * a))]
pub fn attribute(
    a: ::core::primitive::u8,
) -> ::core::result::Result<::core::primitive::u8, ::core::fmt::Error> {
    ::core::result::Result::Ok(a)
}

#[instrument(err(level = "warn"), ret(Debug, level = "debug"))]
pub async fn attribute_async(
    a: ::core::primitive::u8,
) -> ::core::result::Result<::core::primitive::u8, ::core::fmt::Error> {
    ::core::result::Result::Ok(a)
}

#[track_caller]
#[instrument(ret)]
pub fn attribute_track_caller(
    a: ::core::option::Option<::core::primitive::u8>,
) -> ::core::option::Option<::core::primitive::u8> {
    let a = a?;
    ::core::option::Option::Some(a)
}

#[instrument]
pub fn attribute_of_a_future(
    a: ::core::primitive::u8,
) -> impl ::core::future::Future<Output = ::core::primitive::u8> {
    async move { a }
}
