//! A log record for each match.

use super::{Action, Match, Place};
use crate::pump::{Control, OwnLog};
use std::sync::mpsc::Sender;
use std::time::SystemTime;
use throughline::{Level, SpanId, TraceId, Value};
use throughline_export::ledger::DropReason;
use throughline_export::view::{FieldsView, LogView, Scope};
use throughline_export::{Deadline, ExportError, OwnedRecords};

/// Makes a log record of each match, in the trace and span of the record that was found.
#[derive(Clone, Debug)]
pub struct LogLine {
    text: String,
    level: Level,
    pump: Option<Sender<Control>>,
}

impl LogLine {
    /// The target of these records. Observers do not listen to them, so that none feeds itself.
    pub const TARGET: &str = "throughline::observers";

    /// With this message, whose placeholders are filled in as by [`Match::render`]. Its level is [`Level::Warn`].
    pub fn new(text: impl Into<String>) -> LogLine {
        LogLine { text: text.into(), level: Level::Warn, pump: None }
    }

    /// Its level.
    #[must_use]
    pub fn level(self, level: Level) -> LogLine {
        LogLine { level, ..self }
    }
}

impl Action for LogLine {
    fn begin(&mut self, place: &Place) {
        self.pump = Some(place.pump.clone());
    }

    fn run(&mut self, found: &Match, _deadline: &Deadline) -> Result<(), ExportError> {
        let text = |text| Value::Str { text, truncated: false };
        let message = found.render(&self.text);
        let mut fields = vec![("message", text(&*message)), ("observer", text(&*found.observer))];
        fields.extend(found.key.iter().map(|(name, value)| (&**name, text(value))));
        let ids = TraceId::from_hex(&found.trace_id).zip(SpanId::from_hex(&found.span_id));
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut records = OwnedRecords::default();
        records.log(&LogView {
            span: ids,
            time_unix_ns: u64::try_from(now.as_nanos()).unwrap_or(u64::MAX),
            level: self.level,
            message: "{message}",
            event_name: "",
            trace_flags: u8::from(ids.is_some()),
            scope: Scope::OWN,
            target: LogLine::TARGET,
            file: "",
            line: 0,
            time_error_ns: None,
            fields: FieldsView::from(&fields[..]),
        });
        let pump = self.pump.as_ref();
        pump.map_or(Err(DropReason::Ended), |pump| OwnLog::send(pump, records)).map_err(|reason| {
            let why = match reason {
                DropReason::Ended => "the pump has ended",
                _ => "the pump has not taken earlier log records of observers",
            };
            ExportError::new(reason, 1, why)
        })
    }
}
