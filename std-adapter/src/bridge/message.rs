//! Log records that come as a finished message with a place in the source: those of `log`, and those that
//! `tracing-log` hands to `tracing`.

use super::elsewhere::{MESSAGE, NAMES, elsewhere};
use super::table::{Table, spread};
use throughline::adapter::bridge::{self, FieldList};
use throughline::adapter::callsite::{Callsite, Kind, Meta};
use throughline::{Field, Level};

/// Where a record comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) level: Level,
    pub(crate) target: &'a str,
    pub(crate) file: &'a str,
    pub(crate) line: u32,
}

/// A place with the callsites of its records, without and with pairs.
#[derive(Debug)]
struct Site {
    place: Place<'static>,
    plain: &'static Callsite,
    with_pairs: &'static Callsite,
}

static SITES: Table<Site> = Table::new();

impl Place<'_> {
    /// The callsite of records of this place. `None` when there is no room for another place.
    pub(crate) fn callsite(&self, with_pairs: bool) -> Option<&'static Callsite> {
        let is_it = |site: &Site| {
            let Place { level, target, file, line } = site.place;
            (line, level) == (self.line, self.level) && file == self.file && target == self.target
        };
        let site = SITES.get_or_make(self.hash(), is_it, || self.site())?;
        Some(if with_pairs { site.with_pairs } else { site.plain })
    }

    /// Depends on the texts, not on their addresses: some records own their texts.
    fn hash(&self) -> usize {
        spread(self.line as usize ^ (self.level as usize) << 28)
            ^ spread(end_of(self.file))
            ^ spread(end_of(self.target))
    }

    fn site(&self) -> Option<Site> {
        let Place { level, target, file, line } = *self;
        let callsite = |fields| {
            bridge::callsite(&Meta {
                kind: Kind::Event,
                level: level as u8,
                name: MESSAGE,
                target,
                file,
                line,
                fields,
                ..Meta::EMPTY
            })
        };
        let (plain, with_pairs) = (callsite(&NAMES[..1])?, callsite(&NAMES)?);
        let blob = plain.blob();
        Some(Site { place: Place { level, target: blob.target, file: blob.file, line }, plain, with_pairs })
    }

    /// Records a message and the pairs that `pairs` adds, below the current span. A place for which there is no
    /// room is recorded without file and line; its target is a field.
    pub(crate) fn record(&self, message: &impl Field, has_pairs: bool, pairs: impl FnOnce(&mut Pairs<'_>)) {
        let (callsite, target) = match self.callsite(has_pairs) {
            Some(callsite) => (callsite.enabled(), None),
            None => (elsewhere(self.level), Some(self.target)),
        };
        let Some(callsite) = callsite else { return };
        let expected = if has_pairs || target.is_some() { NAMES.len() } else { 1 };
        let mut fields = FieldList::expecting(expected);
        fields.push(message);
        let mut list = Pairs { fields: &mut fields };
        if let Some(target) = target {
            list.push("target", target);
        }
        if has_pairs {
            pairs(&mut list);
        }
        bridge::event(callsite, &mut fields);
    }
}

/// The last bytes of a text, which tell most places apart.
fn end_of(text: &str) -> usize {
    let end = text.as_bytes().last_chunk::<8>().map_or(0, |end| u64::from_le_bytes(*end));
    end as usize ^ text.len()
}

/// The pairs of a record.
#[derive(Debug)]
pub(crate) struct Pairs<'a> {
    fields: &'a mut FieldList,
}

impl Pairs<'_> {
    /// Adds a pair; one for which there is no room is counted as left out.
    pub(crate) fn push<F: Field + ?Sized>(&mut self, key: &str, value: &F) {
        if self.fields.len() + 2 > NAMES.len() {
            return super::leave_out(1);
        }
        self.fields.push(key);
        self.fields.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_by_its_texts_wherever_they_are() {
        let texts: Vec<(String, String)> = (0..2).map(|_| ("shop::db".into(), "src/db.rs".into())).collect();
        let places = texts.iter().map(|(target, file)| Place { level: Level::Info, target, file, line: 7 });
        let hashes: Vec<_> = places.clone().map(|place| place.hash()).collect();
        assert_eq!(hashes[0], hashes[1]);
        let callsites: Vec<_> = places.map(|place| place.callsite(false).unwrap()).collect();
        assert!(core::ptr::eq(callsites[0], callsites[1]));
        assert_eq!(callsites[0].blob().target, "shop::db");
    }
}
