//! Invalid calls of `red!`, and invalid `metrics(…)` of `#[instrument]`.

#![allow(unused_variables, unreachable_code)]

use throughline::{instrument, red};

const NAME: &str = "query";

#[instrument(name = NAME, metrics)]
fn name_that_is_no_literal() {}

#[instrument(metrics(a, b, c, d))]
fn many(a: u8, b: u8, c: u8, d: u8) {}

#[instrument(metrics(a, "a" = 3))]
fn twice(a: u8) {}

#[instrument(metrics(capacity = 3, capacity = 3))]
fn option_twice() {}

#[instrument(metrics(1 + 1))]
fn without_key() {}

struct Opaque;

fn opaque() -> Result<u8, Opaque> {
    red!("query", { Ok(Err::<u8, Opaque>(Opaque)?) })
}

fn main() {
    red!(NAME, {});
    red!("query");
    red!("query", table = "users");
    red!("query", table = Opaque, {});
    red!("query", name = "other", {});
    red!("query", {}, table = "users");
    red!("query", error.type = "timeout", {});
}
