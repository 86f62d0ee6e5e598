//! Values that cannot be fields, and too many of them.

use throughline::info;

fn main() {
    let option = Some(1);
    info!("as it is", option);
    info!("wide", wide = 1_u128);
    #[rustfmt::skip]
    info!("many", a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8, i = 9, j = 10, k = 11, l = 12, m = 13, n = 14, o = 15, p = 16);
}
