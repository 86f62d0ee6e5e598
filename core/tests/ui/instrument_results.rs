//! Results that `err` and `ret` cannot record.

use throughline::instrument;

struct Opaque;

#[instrument(err)]
fn no_result() -> Option<u8> {
    None
}

#[instrument(err)]
fn no_display() -> Result<(), Opaque> {
    Err(Opaque)
}

#[instrument(err(Debug))]
async fn no_debug() -> Result<(), Opaque> {
    Err(Opaque)
}

#[instrument(ret)]
fn no_debug_in_return() -> Opaque {
    Opaque
}

#[instrument]
async fn body() -> u8 {
    "not a number"
}

#[instrument]
fn sync_body(n: u8) -> u8 {
    n + missing
}

fn main() {
    let _ = throughline::Instrument::instrument(async {}, 3);
}
