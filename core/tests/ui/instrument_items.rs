//! Items on which `#[instrument]` does not work.

use throughline::instrument;

#[instrument]
const fn constant() {}

#[instrument]
struct Thing;

trait Work {
    #[instrument]
    fn declared(&self);
}

trait Stream {
    type Item;
}

struct Ones;

impl Stream for Ones {
    type Item = u8;
}

#[instrument(ret)]
fn stream() -> impl Stream<Item = u8> {
    Ones
}

fn main() {
    constant();
}
