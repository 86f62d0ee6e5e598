//! Values that cannot be fields, too many of them, and keys that are not unique.

use throughline::{info, record, span};

struct Opaque;

fn main() {
    let opaque = Opaque;
    info!("as it is", opaque);
    let a = 1;
    let span = span!("twice", a = 1, a = 2);
    record!(span, a, "a" = 2);
    info!(a, "{a}", a = 3);
    span!("no name", a + 1);
    span.record("opaque", Opaque);
    info!("list", texts = ["a", "b"]);
    #[rustfmt::skip]
    info!("many", a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8, i = 9, j = 10, k = 11, l = 12, m = 13, n = 14, o = 15, p = 16);
}
