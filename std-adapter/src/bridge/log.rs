//! The bridge from the crate `log`.

use super::message::{Pairs, Place};
use log::kv::{self, VisitSource, VisitValue};
use log::{Metadata, Record};
use throughline::adapter::callsite::Kind;
use throughline::{Level, field};

/// A logger for the crate `log`: its records become log records of this library, with the ids of the current span,
/// the place in the source, and the key-value pairs as fields. [`Config::log_logger`](crate::Config::log_logger)
/// installs it.
///
/// Recording never waits; its cost is the row `throughline (log)` of `cargo xtask bench`. Levels and filters are those of the configuration.
///
/// ```
/// # fn main() -> Result<(), log::SetLoggerError> {
/// // Where the program sets its logger itself:
/// log::set_logger(&throughline_std::log::Logger)?;
/// log::set_max_level(log::LevelFilter::Trace);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Logger;

fn level(level: log::Level) -> Level {
    match level {
        log::Level::Error => Level::Error,
        log::Level::Warn => Level::Warn,
        log::Level::Info => Level::Info,
        log::Level::Debug => Level::Debug,
        log::Level::Trace => Level::Trace,
    }
}

impl log::Log for Logger {
    /// Whether a record of this target and level is recorded.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        super::would_record(Kind::Event, metadata.target(), level(metadata.level()))
    }

    fn log(&self, record: &Record<'_>) {
        let place = Place {
            level: level(record.level()),
            target: record.target(),
            file: record.file().unwrap_or_default(),
            line: record.line().unwrap_or_default(),
        };
        let Some(_deeper) = super::Deeper::enter() else { return };
        let pairs = record.key_values();
        place.record(record.args(), pairs.count() > 0, |fields| {
            // The visitor returns no error.
            let _ = pairs.visit(&mut Visitor(fields));
        });
    }

    /// Does nothing: the guard of `init` delivers.
    fn flush(&self) {}
}

struct Visitor<'a, 'b>(&'a mut Pairs<'b>);

impl<'kvs> VisitSource<'kvs> for Visitor<'_, '_> {
    fn visit_pair(&mut self, key: kv::Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
        value.visit(Typed { key: key.as_str(), fields: self.0 })
    }
}

struct Typed<'a, 'b> {
    key: &'a str,
    fields: &'a mut Pairs<'b>,
}

macro_rules! visits {
    ($($name:ident: $type:ty;)*) => {$(
        fn $name(&mut self, value: $type) -> Result<(), kv::Error> {
            self.fields.push(self.key, &value);
            Ok(())
        }
    )*};
}

impl<'v> VisitValue<'v> for Typed<'_, '_> {
    fn visit_any(&mut self, value: kv::Value<'_>) -> Result<(), kv::Error> {
        self.fields.push(self.key, &field::display(value));
        Ok(())
    }

    visits! {
        visit_u64: u64;
        visit_i64: i64;
        visit_u128: u128;
        visit_i128: i128;
        visit_f64: f64;
        visit_bool: bool;
        visit_str: &str;
        visit_char: char;
    }
}
