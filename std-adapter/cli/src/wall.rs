//! Wall-clock profiles: the spans of files in OTLP's JSON, and of captures of devices.

use std::path::Path;

use throughline_profile::{WallProfile, WallSpan};
use throughline_std::insights::Ended;

use crate::error::CliError;
use crate::spans::{self, Sink};

/// Reads the spans of a capture, for which there is the ELF, or of a file in OTLP's JSON. Returns the exit code: a damaged
/// capture has a profile too.
pub(crate) fn read(path: &Path, elf: Option<&Path>, profile: &mut WallProfile) -> Result<u8, CliError> {
    let code;
    (*profile, code) = spans::read(path, elf, "throughline profile --wall", std::mem::take(profile))?;
    Ok(code)
}

impl Sink for WallProfile {
    fn span(&mut self, span: &Ended<'_>) {
        self.add(WallSpan {
            trace_id: span.trace_id,
            span_id: span.span_id,
            parent_span_id: span.parent_span_id,
            name: span.name.to_owned(),
            start_ns: span.start_unix_ns,
            end_ns: span.end_unix_ns,
            busy_ns: span.busy_ns,
        });
    }
}
