//! Invalid arguments of `#[instrument]`.

#![allow(unused_variables)]

use throughline::instrument;

#[instrument(nmae = "x")]
fn unknown() {}

#[instrument(follows = [])]
fn known_elsewhere() {}

#[instrument(follows_from = [3])]
fn cause() {}

#[instrument(parent = 3)]
fn parent() {}

#[instrument(fields(a = 1, b, a = 2))]
fn field_twice(b: u8) {}

#[instrument(ret(level = "loud"))]
fn level_of_an_event() {}

#[instrument(level = "loud")]
fn level() {}

#[instrument(kind = Sever)]
fn kind() {}

#[instrument(skip(c))]
fn skip(a: u8, b: u8) {}

#[instrument(skip(c))]
fn skip_of_nothing() {}

#[instrument(root, root)]
fn twice() {}

#[instrument(err(Pretty))]
fn format() -> Result<(), u8> {
    Ok(())
}

#[instrument(err)]
fn no_result() {}

#[instrument(fields(1 + 1))]
fn field() {}

#[instrument(fields("key"))]
fn field_without_value() {}

#[instrument]
#[rustfmt::skip]
fn many(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8, k: u8, l: u8, m: u8, n: u8, o: u8, p: u8) {}

fn main() {
    // Each function still exists for its callers, so the only error is its own.
    unknown();
    skip(1, 2);
}
