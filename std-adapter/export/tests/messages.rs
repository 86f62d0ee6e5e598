//! Messages from the macro call to the text that a reader sees: the same as `format!` makes of these
//! arguments.

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use throughline::adapter::callsite::registry;
use throughline::adapter::record::Record;
use throughline::{Clock, Recorder, Slots, Value, info};
use throughline_export::message;

static SLOTS: Slots<1024> = Slots::new();
static RECORDER: Recorder = Recorder::new(&SLOTS, Clock::mock());
static TURN: Mutex<()> = Mutex::new(());

/// The rendered message of the one event that `f` records, and its fields as text.
fn recorded(f: impl FnOnce()) -> (String, Vec<String>) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    throughline::install(&RECORDER);
    let mut reader = RECORDER.ring().reader().expect("a turn has the only reader");
    reader.drain(|_| {});
    f();
    let mut seen = None;
    reader.drain(|raw| {
        let Some(Record::Event(event)) = Record::parse(raw) else { panic!("no event") };
        let mut blob = None;
        registry::for_each(|known| blob = blob.or((known.id() == event.callsite).then(|| known.blob())));
        let blob = blob.expect("a callsite of this program");
        let fields = blob.fields().zip(event.values);
        let shown = fields.clone().filter(|(_, value)| *value != Value::Absent);
        let shown = shown.map(|(key, value)| format!("{key}={}", message::ValueText(&value)));
        seen = Some((message::render(blob.name, fields.clone()).into_owned(), shown.collect()));
    });
    seen.expect("an event")
}

/// Checks that `info!` with these arguments shows what `format!` makes of them.
macro_rules! as_format_does {
    ($($message:literal $(, $argument:expr)*;)*) => {$(
        assert_eq!(recorded(|| info!($message $(, $argument)*)).0, format!($message $(, $argument)*), "{}", $message);
    )*};
}

/// A type with only a `Display` form.
struct Percent(f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match f.precision() {
            Some(digits) => write!(f, "{:.digits$} %", self.0 * 100.0),
            None => write!(f, "{} %", self.0 * 100.0),
        }
    }
}

#[derive(Debug)]
#[allow(dead_code)]
struct Reading {
    channel: u8,
    raw: Option<u16>,
}

#[test]
fn variables_named_in_the_message_are_captured() {
    let (ms, name, text, raw) = (17_u32, String::from("pump"), "a\"b", 3.5_f32);
    as_format_does! {
        "took {ms} ms";
        "{name}: {raw:.2} of {ms:>6} (0x{ms:04X})";
        "{name:?}|";
        "{name:>8}|";
        "{text:?} {text:>8}|";
        "{{{ms}}} {raw:e}";
    }
    assert_eq!(recorded(|| info!("took {ms} ms, {ms:#x}")).1, ["ms=17"]);
}

#[test]
fn formats_are_applied_by_the_reader_31() {
    let (x, y, small, negative) = (48_879_u32, 2.0_f64 / 3.0, -1_i8, -2_i64);
    as_format_does! {
        "{x:#x}";
        "{:04X}|{:<9}|{:^9}|{:*>9}", x, x, x, x;
        "{y:.2} {y:8.3} {y:+} {y:e} {y:?}";
        "{} {:?}", "text", "te\"xt\n";
        "{small:x} {negative:x} {negative:#b}";
        "{:x} {:o} {:08b}", small, 8_i32, 5_u8;
        "{:?} {:?} {:>3}|{}", 'a', '\'', 'b', 'ü';
        "{} {:>6}|{:<6}|{:?}", true, false, true, false;
        "{0} {1} {0:?}", 1, "b";
        "{:?} {:.1?} {:>12?}", Duration::from_micros(1_500), Duration::from_micros(1_523), Duration::from_secs(90);
        "{} {:>12} {:?}", Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST;
        "{} {:#x}", u128::MAX, i128::MIN;
    }
}

#[test]
fn what_no_reader_can_format_is_formatted_where_it_is_31() {
    let reading = Reading { channel: 3, raw: Some(7) };
    let share = Percent(0.25);
    as_format_does! {
        "{reading:?}";
        "{reading:#?}";
        "{share} {}", Percent(0.5);
        "{:.1} of {:.3}", Percent(0.333), Percent(0.111);
        "{:?} {:?} {:02x?}", Some(5), [1_u8, 2], [10_u8, 255];
        "{:?}", vec!["a", "b"];
    }
    assert_eq!(recorded(|| info!("{reading:?}")).1, ["reading=Reading { channel: 3, raw: Some(7) }"]);
}

#[test]
fn spaces_in_a_placeholder_are_passed_over_20() {
    let n = 3;
    assert_eq!(recorded(|| info!("{ n } left")).0, "3 left");
    assert_eq!(recorded(|| info!("{ n :>4} left")).0, "   3 left");
    assert_eq!(recorded(|| info!("{ 0 } left", n)).0, "3 left");
}

#[test]
fn positional_values_fill_their_place_and_have_plain_keys_42() {
    let n = 2_u8;
    let (text, fields) = recorded(|| info!("{} {} {}", std::process::id(), 3_u8 + 4, n));
    assert_eq!(text, format!("{} 7 2", std::process::id()));
    assert_eq!(fields, [format!("arg0={}", std::process::id()), "arg1=7".into(), "n=2".into()]);
    // Named fields before the message do not shift the positional ones.
    let (text, fields) = recorded(|| info!(unit = "bar", "pressure {} is high", 7.5_f32));
    assert_eq!((text.as_str(), fields.len()), ("pressure 7.5 is high", 2));
    assert_eq!(recorded(|| info!("{} {n} {}", n, n)).1, ["n=2"]);
}

#[test]
fn keys_that_are_no_words_are_shown_by_their_number() {
    let (text, _) = recorded(|| info!("{} {:>3} {}", "a b" = 1, "" = 2, "a:b}" = 3));
    assert_eq!(text, "1   2 3");
    let (text, _) = recorded(|| info!("{http.route} {error.type:?}", http.route = "/", error.type = "late"));
    assert_eq!(text, "/ \"late\"");
}

/// An error with a cause.
#[derive(Debug)]
struct Outer(std::num::ParseIntError);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such channel")
    }
}

impl std::error::Error for Outer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn values_of_every_type_are_fields() {
    let error: Box<dyn std::error::Error> = Box::new(Outer("x".parse::<u8>().unwrap_err()));
    // Use several events, because the texts of a record share its room.
    let (_, mut fields) = recorded(|| {
        info!(
            "optional",
            some = Some(5),
            none = None::<u64>,
            text = Some("t"),
            owned = Some(String::from("o"))
        )
    });
    let (_, more) = recorded(|| {
        info!(
            "wide",
            char = 'ü',
            wide = u128::MAX,
            negative = i128::MIN,
            took = Duration::from_millis(1500),
            list = [1_u16, 2],
            floats = vec![0.5, -1.0],
            ip = Ipv4Addr::LOCALHOST,
            address = std::net::SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 80)),
        )
    });
    fields.extend(more);
    let (_, more) = recorded(|| {
        info!("texts", cow = std::borrow::Cow::from("c"), string = String::from("s"), error = *error)
    });
    fields.extend(more);
    let expected = [
        "some=5",
        "text=t",
        "owned=o",
        "char=ü",
        "wide=340282366920938463463374607431768211455",
        "negative=-170141183460469231731687303715884105728",
        "took=1.5s",
        "list=[1, 2]",
        "floats=[0.5, -1]",
        "ip=127.0.0.1",
        "address=[::1]:80",
        "cow=c",
        "string=s",
        "error=no such channel: invalid digit found in string",
    ];
    assert_eq!(fields, expected);
    let (text, fields) = recorded(|| info!("the last is cut", a = 1, ?error, long = "x".repeat(1000)));
    assert_eq!((text.as_str(), fields.len()), ("the last is cut", 3));
    assert!(fields[2].ends_with('…'), "{fields:?}");
    let long: Vec<u32> = (0..1000).collect();
    let (_, fields) = recorded(|| info!("cut", long, last = true));
    assert!(fields[0].ends_with(", …]") && fields[1] == "last=true", "{fields:?}");
    let deep = "y".repeat(200);
    assert_eq!(recorded(|| info!("not cut at 128 bytes", %deep)).1, [format!("deep={deep}")]);
}
