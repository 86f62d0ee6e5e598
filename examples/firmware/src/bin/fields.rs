//! Every type and width of field, on spans, on events and as fields added later, and more fields than a span
//! has room for.

#![no_std]
#![no_main]

use cortex_m_rt::entry;
use firmware_example::{CLOCK, Link, finish, init};
use throughline::adapter::ring::{ExtendedKind, Head};
use throughline::{Recorder, Slots, StaticStr, info, instrument, record, span};

static SLOTS: Slots<256> = Slots::new();
static RECORDER: Recorder = Recorder::new(&SLOTS, CLOCK);

#[entry]
fn main() -> ! {
    init();
    let mut link = Link::new(&RECORDER, "fields");
    {
        let _all =
            span!("all", yes = true, u8 = 8u8, u16 = 1600u16, u32 = u32::MAX, u64 = u64::MAX, usize = 7usize);
        let _signed =
            span!("signed", i8 = -8i8, i16 = -1600i16, i32 = i32::MIN, i64 = i64::MIN, isize = -7isize);
        let _floats = span!("floats", f32 = 1.5f32, f64 = -0.25f64);
        let texts =
            span!("texts", text = "abc", fixed = StaticStr("in the program"), bytes = &[1u8, 2, 3][..]);
        record!(texts, late = "added", shown = %7, debug = ?Some(1));
    }
    {
        let _text = span!("text", name = "abc");
        let _five = span!("five", a = 1u32, b = 2u32, c = 3u32, d = 4u32, e = 5u32);
        let _three = span!("three", a = u64::MAX, b = 1u64 << 40, c = 0u64);
        greet("world", 2);
    }
    info!(
        "all",
        yes = false,
        i8 = -1i8,
        u64 = 1u64 << 63,
        i64 = -1i64,
        f32 = 0.5f32,
        f64 = 2.5f64,
        text = "héllo"
    );
    info!("fixed", fixed = StaticStr("in the program"), bytes = &[255u8, 0][..]);
    push_by_hand();
    link.finish();
    finish()
}

/// A record that an adapter writes itself, of a kind that nothing else in this program has and that no decoder
/// knows: one `u32`.
fn push_by_hand() {
    const U32: usize = 2;
    let now = RECORDER.clock().ticks();
    let head = Head::extended(ExtendedKind::FIRST_PRIVATE, 0, 0);
    RECORDER.ring().push(head, &[now, U32, 0, 7], now);
}

/// The argument is a text, for which a span has no room.
#[instrument]
fn greet(name: &str, times: u32) {
    info!("hello {name}", name, times);
}
