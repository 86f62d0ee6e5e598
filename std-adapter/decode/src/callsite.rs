//! Maps the callsite id in a record to its callsite, and holds the table of all callsites of an ELF.

use std::borrow::Cow;
use std::collections::HashMap;

use throughline::adapter::callsite::{Blob, Kind, MAX_FIELDS};
use throughline::{Level, SpanKind};

use crate::elf::Elf;
use crate::load_address::{LoadAddress, Seen};

/// A callsite, with its description if the ELF has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Callsite<'elf> {
    /// Its id: the address of its blob.
    pub id: u64,
    /// Its description in the ELF; `None` if the ELF is the wrong one or there is none.
    pub blob: Option<Blob<'elf>>,
}

impl<'elf> Callsite<'elf> {
    /// Its name (for an event: its message), or a name made from its id, such as `callsite@0x1234?`.
    pub fn name(&self) -> Cow<'elf, str> {
        match self.blob {
            Some(blob) => Cow::Borrowed(blob.name),
            None => Cow::Owned(format!("callsite@{:#x}?", self.id)),
        }
    }

    /// Module path, or "".
    pub fn target(&self) -> &'elf str {
        self.blob.map_or("", |b| b.target)
    }

    /// Package of the instrumented code, or "".
    pub fn package(&self) -> &'elf str {
        self.blob.map_or("", |b| b.package)
    }

    /// The package's version, or "".
    pub fn version(&self) -> &'elf str {
        self.blob.map_or("", |b| b.version)
    }

    /// Source file, or "".
    pub fn file(&self) -> &'elf str {
        self.blob.map_or("", |b| b.file)
    }

    /// Source line, or 0.
    pub fn line(&self) -> u32 {
        self.blob.map_or(0, |b| b.line)
    }

    /// Unit of a metric, or "".
    pub fn unit(&self) -> &'elf str {
        self.blob.map_or("", |b| b.unit)
    }

    /// OpenTelemetry name of an event, or "".
    pub fn event_name(&self) -> &'elf str {
        self.blob.filter(|b| b.kind == Kind::Event).map_or("", |b| b.unit)
    }

    /// Description of a metric, or "".
    pub fn description(&self) -> &'elf str {
        self.blob.map_or("", |b| b.description)
    }

    /// Its level; info if it is not known.
    pub fn level(&self) -> Level {
        self.blob.and_then(|b| b.level).unwrap_or(Level::Info)
    }

    /// Role of a span; internal if it is not known.
    pub fn span_kind(&self) -> SpanKind {
        self.blob.map_or(SpanKind::Internal, |b| b.span_kind)
    }
}

/// All callsites of an ELF by their address in it, with the names of their fields.
#[derive(Debug, Default)]
pub(crate) struct Callsites<'elf> {
    by_address: HashMap<u64, (Blob<'elf>, Box<[&'elf str]>)>,
    loaded_at: LoadAddress,
}

impl<'elf> Callsites<'elf> {
    pub(crate) fn new(elf: Option<&'elf Elf>) -> Callsites<'elf> {
        let entries = elf.into_iter().flat_map(Elf::callsites);
        Callsites {
            by_address: entries.map(|(at, blob)| (at, (blob, blob.fields().collect()))).collect(),
            loaded_at: LoadAddress::of(elf),
        }
    }

    /// The callsite with this id and the names of its fields. `is` checks the kind of the callsite against
    /// the record's kind. If it does not fit, the id belongs to another program, and a wrong name would be
    /// worse than none.
    pub(crate) fn get<'f>(&'f self, id: u64, is: impl Fn(Kind) -> bool) -> (Callsite<'elf>, &'f [&'elf str]) {
        let found = self.loaded_at.bias().and_then(|bias| self.by_address.get(&id.wrapping_sub(bias)));
        match found.filter(|(blob, _)| is(blob.kind)) {
            Some((blob, names)) => (Callsite { id, blob: Some(*blob) }, names),
            None => (Callsite { id, blob: None }, &UNNAMED),
        }
    }

    /// How far above its addresses in the ELF the program was loaded, if this is known.
    pub(crate) fn bias(&self) -> Option<u64> {
        self.loaded_at.bias()
    }

    /// Learns from the records of a frame where the program was loaded. Costs nothing once it is known.
    pub(crate) fn learn(&mut self, seen: impl Iterator<Item = Seen>) {
        let Callsites { by_address, loaded_at } = self;
        loaded_at.learn(
            seen,
            || by_address.keys().copied(),
            |seen, address| {
                by_address
                    .get(&address)
                    .is_some_and(|(blob, names)| seen.role.fits(blob.kind) && seen.fields <= names.len())
            },
        );
    }

    /// Call this at a new boot, because a host then loads the program at another address.
    pub(crate) fn reboot(&mut self) {
        self.loaded_at.forget();
    }
}

/// Names of fields whose callsite is not known, or that the callsite does not declare.
pub(crate) const UNNAMED: [&str; MAX_FIELDS] = [
    "field0", "field1", "field2", "field3", "field4", "field5", "field6", "field7", "field8", "field9",
    "field10", "field11", "field12", "field13", "field14",
];
