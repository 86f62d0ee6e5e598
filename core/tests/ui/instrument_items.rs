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

fn main() {
    constant();
}
