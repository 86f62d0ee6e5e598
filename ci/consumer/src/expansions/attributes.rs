//! `#[instrument]` on functions with special properties.

extern crate alloc;

use super::functions::Failure;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Debug;
use core::future::Future;
use core::panic::Location;
use core::pin::Pin;
use throughline::{Context, info, instrument};

macro_rules! make {
    ($n:ident, $b:block) => {
        #[instrument]
        pub fn $n() -> u8 $b
    };
    (async $n:ident, $t:ty, $b:block) => {
        #[instrument(ret)]
        pub async fn $n(given: $t) -> $t $b
    };
}

make!(made_by_a_macro, { 7 });
make!(async made_by_a_macro_async, u8, { 8 });

#[track_caller]
#[instrument(ret)]
pub fn caller() -> u32 {
    Location::caller().line()
}

/// Returns by `return`, by `?`, and at its end.
#[track_caller]
#[instrument(err, ret)]
pub fn caller_and_result(way: u8) -> Result<u32, Failure> {
    let closure = |n: u8| -> Option<u8> { Some(n.checked_sub(1)? / 2) };
    if way == 0 {
        return Ok(Location::caller().line());
    }
    let text = if way == 1 { Err("early") } else { Ok("late") };
    let text = text.map_err(Failure)?;
    if closure(way - 2).is_none() { Err(Failure(text)) } else { Ok(Location::caller().line()) }
}

/// A type with methods.
#[derive(Debug, Default)]
pub struct Method(u8);

impl Method {
    #[track_caller]
    #[instrument(ret)]
    pub fn caller(&mut self) -> Option<u32> {
        self.0 = self.0.checked_add(1)?;
        Some(Location::caller().line())
    }
}

/// A type with the same name as a variant in the body.
type Foo = u8;
#[allow(dead_code)]
enum Bar {
    Foo,
    B,
}

#[instrument]
pub async fn a_name_imported_in_the_body() -> Foo {
    #[allow(unused_imports)]
    use Bar::*;
    1
}

#[instrument(ret)]
pub fn a_name_declared_in_the_body(n: u8) -> u8 {
    #[allow(non_camel_case_types, dead_code)]
    struct u8;
    n + 1
}

#[instrument(err)]
pub fn future_by_impl(n: u8) -> impl Future<Output = Result<u8, Failure>> {
    info!("making");
    async move {
        info!("running");
        if n == 0 { Err(Failure("zero")) } else { Ok(n) }
    }
}

#[instrument(err, ret)]
pub fn future_in_a_box(n: &u8) -> Pin<Box<dyn Future<Output = Result<u8, Failure>> + Send + '_>> {
    if *n == 0 {
        return Box::pin(async { Err(Failure("zero")) });
    }
    let made = async move { Ok(*n) };
    Box::pin(made)
}

/// A type without `Debug`, which cannot be a field.
pub struct Opaque;

#[instrument]
pub fn of_any_argument<T, U: Debug>(
    a: T,
    b: U,
    c: &Opaque,
    d: impl Fn(u8) -> u8,
    e: Option<String>,
    f: Vec<&str>,
    _g: Opaque,
) -> u8 {
    let (_, _, _, _, _) = (a, b, c, e, f);
    d(1)
}

#[instrument(parent = parent, target = "elsewhere", skip(parent))]
pub fn below_a_context(parent: Context) {
    info!("within");
}

#[instrument(parent = None, ret(Display, level = "warn"))]
pub fn apart() -> u8 {
    3
}

#[instrument(err(Debug, level = Error))]
pub fn error_event() -> Result<(), Failure> {
    Err(Failure("told"))
}
