//! Records that carry their names, because their callsite has none: messages with pairs of key and value, and records
//! for whose places there is no room.

use throughline::Level;
use throughline::adapter::callsite::{CallsiteId, Kind, MAX_FIELDS, Meta};
use throughline::adapter::record::KEY_FIELD;

/// A message as the callsite of its event has it: the field alone.
pub(super) const MESSAGE: &str = "{message}";
/// The name of that field.
pub(super) const MESSAGE_FIELD: &str = "message";

/// The most pairs of key and value in a record, beside the message.
const PAIRS: usize = (MAX_FIELDS - 1) / 2;

/// The names of the fields of a record with pairs: the message, then keys and values.
pub(super) const NAMES: [&str; 1 + 2 * PAIRS] = {
    let mut names = [MESSAGE_FIELD; 1 + 2 * PAIRS];
    let mut i = 0;
    while i < PAIRS {
        (names[1 + 2 * i], names[2 + 2 * i]) = (KEY_FIELD, "throughline.value");
        i += 1;
    }
    names
};

/// The names of a record of keys and values alone.
#[cfg(any(feature = "opentelemetry", feature = "tracing"))]
pub(super) const PAIR_NAMES: [&str; 2 * PAIRS] = {
    let [_, pairs @ ..] = NAMES;
    pairs
};

/// The callsite of fields of a span that are keys and values.
#[cfg(any(feature = "opentelemetry", feature = "tracing"))]
pub(super) fn pairs() -> Option<CallsiteId> {
    throughline::__enabled!(
        Error,
        Meta {
            kind: Kind::Fields,
            level: Level::Error as u8,
            target: "throughline_std::elsewhere",
            fields: &PAIR_NAMES,
            ..Meta::EMPTY
        }
    )
}

/// The callsite of records for whose places there is no room.
pub(super) fn elsewhere(level: Level) -> Option<CallsiteId> {
    macro_rules! of {
        ($($level:ident)*) => {
            match level {
                $(Level::$level => throughline::__enabled!($level, Meta {
                    kind: Kind::Event,
                    level: Level::$level as u8,
                    name: MESSAGE,
                    target: "throughline_std::elsewhere",
                    fields: &NAMES,
                    ..Meta::EMPTY
                }),)*
            }
        };
    }
    of!(Trace Debug Info Warn Error)
}
