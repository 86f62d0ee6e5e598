//! Fields: their number, types and names.

use core::fmt::Display;
use throughline::{StaticStr, info, record, span};

pub fn every_count() {
    info!("0");
    info!("1", a = 1);
    info!("2", a = 1, b = 2);
    info!("3", a = 1, b = 2, c = 3);
    info!("4", a = 1, b = 2, c = 3, d = 4);
    info!("5", a = 1, b = 2, c = 3, d = 4, e = 5);
    info!("6", a = 1, b = 2, c = 3, d = 4, e = 5, f = 6);
    info!("7", a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7);
    info!("8", a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8);
    info!("9", a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8, i = 9);
    info!("10", a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8, i = 9, j = 10);
    info!("11", a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8, i = 9, j = 10, k = 11);
    info!("12", a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8, i = 9, j = 10, k = 11, l = 12);
    info!(
        "13",
        a = 1,
        b = 2,
        c = 3,
        d = 4,
        e = 5,
        f = 6,
        g = 7,
        h = 8,
        i = 9,
        j = 10,
        k = 11,
        l = 12,
        m = 13
    );
    #[rustfmt::skip]
    info!("14", a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8, i = 9, j = 10, k = 11, l = 12, m = 13, n = 14);
    #[rustfmt::skip]
    info!("15", a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8, i = 9, j = 10, k = 11, l = 12, m = 13, n = 14, o = 15);
}

/// Fifteen fields before the message, on a span, and added to a span.
pub fn most_everywhere() {
    #[rustfmt::skip]
    info!(a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8, i = 9, j = 10, k = 11, l = 12, m = 13, n = 14, o = 15, "15");
    #[rustfmt::skip]
    let span = span!("15", a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8, i = 9, j = 10, k = 11, l = 12, m = 13, n = 14, o = 15);
    #[rustfmt::skip]
    record!(span, a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8, i = 9, j = 10, k = 11, l = 12, m = 13, n = 14, o = 15);
}

pub fn every_type() {
    info!("bool", a = true, b = false);
    info!("unsigned", a = 1_u8, b = 2_u16, c = 3_u32, d = u64::MAX, e = 5_usize);
    info!("signed", a = -1_i8, b = -2_i16, c = -3_i32, d = i64::MIN, e = -5_isize);
    info!("float", a = 0.5_f32, b = -0.25_f64);
    info!("text", a = "text", b = StaticStr("static"), c = *"unsized", d = "");
    info!("bytes", a = [1_u8, 2, 3], b = [4_u8, 5][..], c = b"six");
    info!("borrowed", a = &1, b = &&"twice", c = &mut_borrowed(&mut 3));
    info!("formatted", a = %"shown", b = ?"quoted", c = ?Some(1), d = %format_args!("{}-{}", 1, 2));
}

/// `&mut T` is not a field, but its referent is.
fn mut_borrowed(n: &mut i32) -> i32 {
    info!("mutable", n = *n);
    *n += 1;
    *n
}

pub fn every_name() {
    let r#type = 3;
    let value = 4;
    info!("names", r#type);
    info!("names", r#match = 1, error.type = 2, a.b.c.d = 3, "with space" = 4, "" = 5);
    info!("names", value);
    info!("names", %value);
    info!("names", ?value);
    info!("names", value = value, v.x = %value, v.y = ?value);
    info!("names {} {}", 1 + 1, value + 1);
    let pair = (5, Inner { x: 6 });
    info!("names", pair.0, pair.1.x);
}

struct Inner {
    x: u8,
}

pub fn expressions() {
    let items = [1_u8, 2, 3];
    let span = span!("expr", len = items.len(), last = *items.last().unwrap_or(&0));
    record!(span, sum = items.iter().map(|&n| u32::from(n)).sum::<u32>(), is = items[0] == 1);
    info!(
        "expr",
        block = { items[1] },
        cond = if span.is_recorded() { 4 } else { 2 },
        cast = items[0] as char as u32
    );
    info!("closure", a = Some(5).map_or(0, |n| n + 1), b = <u32 as Default>::default());
}

pub fn of_any_type(value: &dyn Display, other: impl Display + Copy) {
    info!("any", %value, other = %other);
}
