//! What `#[instrument]` does not go on.

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
