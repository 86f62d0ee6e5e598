//! The last words of a panic handler arrive first: with a full ring, with a frame half sent, and before
//! anything else was sent.

use embedded_io::{ErrorKind, ErrorType, Write};
use throughline::adapter::ring::{Head, RecordKind};
use throughline::{Clock, Recorder, Slots, clock::mock, span};
use throughline_decode::{Balance, Decoder, Item};
use throughline_embedded::{Config, Flusher, PanicAccess, init};

macro_rules! recorder {
    () => {{
        static SLOTS: Slots<16> = Slots::new();
        static RECORDER: Recorder = Recorder::new(&SLOTS, Clock::mock());
        &RECORDER
    }};
}

/// A link that takes only `room` bytes.
#[derive(Default)]
struct Link {
    bytes: Vec<u8>,
    room: usize,
}

impl ErrorType for Link {
    type Error = ErrorKind;
}

impl Write for Link {
    fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        let n = buf.len().min(self.room);
        self.room -= n;
        self.bytes.extend_from_slice(&buf[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// The fields of each event, in order, and the balance.
fn decode(bytes: &[u8]) -> (Vec<String>, Balance) {
    let mut decoder = Decoder::new(None, Default::default());
    let mut seen = Vec::new();
    let mut sink = |_: &throughline_decode::Context, item: Item<'_, '_>| {
        if let Item::Event(event) = item {
            seen.push(event.fields.map(|(_, value)| format!("{value:?}")).collect::<Vec<_>>().join(" "));
        }
    };
    decoder.push(bytes, None, &mut sink);
    decoder.finish(&mut sink);
    assert!(decoder.balance().balances(), "{:?}", decoder.balance());
    (seen, decoder.balance())
}

// This is one test, because a process has only one recorder that the macros use.
#[test]
fn last_words_arrive_whatever_state_ring_and_link_are_in_30() {
    static ACCESS: PanicAccess<Flusher> = PanicAccess::new();
    static EMPTY: PanicAccess<Flusher> = PanicAccess::new();
    let recorder = recorder!();
    // SAFETY: nothing was lent out.
    assert!(unsafe { EMPTY.take() }.is_none(), "nothing is held");
    let flusher = ACCESS.hold(init(recorder, Config::DEFAULT));

    // Case 1: nothing was sent before.
    mock::set(1000);
    let mut link = Link { room: usize::MAX, ..Link::default() };
    let _span = span!("at.work");
    flusher.last_words(&"main.rs:1:2", &"first", &mut link).unwrap();
    let (seen, balance) = decode(&link.bytes);
    let first = r#"Str { text: "main.rs:1:2", truncated: false } Str { text: "first", truncated: false }"#;
    assert_eq!((&seen[..], balance.emitted), (&[first.to_owned()][..], 1));

    // Case 2: the ring is full, and the link took only ten bytes of a frame.
    for n in 0..40 {
        recorder.ring().push(Head::new(RecordKind::Event, 7, 0, 0), &[1000 + n, 0, 0], 1000 + n);
    }
    link.room = 10;
    assert!(flusher.flush(&mut link, 64).unwrap().pending);
    link.room = usize::MAX;
    mock::set(2000);
    let long = "x".repeat(1000);
    // SAFETY: `flusher` is not used from here on.
    let flusher = unsafe { ACCESS.take() }.unwrap();
    // SAFETY: as above.
    assert!(unsafe { ACCESS.take() }.is_none(), "a panic in the panic handler");
    flusher.last_words(&"main.rs:3:4", &format_args!("{long}"), &mut link).unwrap();
    let (seen, balance) = decode(&link.bytes);
    assert_eq!((balance.emitted, balance.decoded, balance.device), (42, 18, 24));
    let at = seen.iter().position(|event| event.contains("main.rs:3:4")).expect("the second words arrived");
    assert!(seen[at].contains("xxx\", truncated: true"), "{}", seen[at]);
    assert!(at + 1 < seen.len(), "only the frame that was half sent comes before");
}
