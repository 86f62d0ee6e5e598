//! Determines where a position-independent program was loaded from the ids in its records.
//!
//! The system loads a program of a host at an address of its choice, a multiple of the page size. The offset
//! is the same for all its callsites. Every record excludes offsets, because its id less the offset must be a
//! callsite of the record's kind. Two or three different callsites usually leave one offset; in a program
//! with less than a page of callsites, the first one does.

use throughline::adapter::callsite::Kind;

use crate::elf::Elf;

/// Loaders place programs at multiples of this; larger page sizes are multiples of it.
const PAGE: u64 = 4096;

/// How far above its addresses in the ELF a program was loaded, in bytes.
#[derive(Debug, Default)]
pub(crate) enum LoadAddress {
    /// At its addresses in the ELF, as firmware is.
    #[default]
    AsLinked,
    /// Not known yet. Once a record was seen, this holds the offsets that are still possible.
    Unknown(Option<Vec<u64>>),
    /// This far above.
    Known(u64),
}

/// The callsite id of a record, and what the record implies about that callsite.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) id: u64,
    pub(crate) role: Role,
    pub(crate) fields: usize,
}

/// What a callsite is used for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    Span,
    Event,
    Fields,
    Metric,
}

impl Role {
    /// Whether a callsite of this kind is used for this.
    pub(crate) fn fits(self, kind: Kind) -> bool {
        match self {
            Role::Span => kind == Kind::Span,
            Role::Event => kind == Kind::Event,
            // A device records fields for which a span has no room under the span's own callsite.
            Role::Fields => kind == Kind::Fields || kind == Kind::Span,
            Role::Metric => kind as u8 >= Kind::Counter as u8,
        }
    }
}

impl LoadAddress {
    pub(crate) fn of(elf: Option<&Elf>) -> LoadAddress {
        if elf.is_some_and(Elf::is_position_independent) {
            LoadAddress::Unknown(None)
        } else {
            LoadAddress::AsLinked
        }
    }

    pub(crate) fn bias(&self) -> Option<u64> {
        match self {
            LoadAddress::AsLinked => Some(0),
            LoadAddress::Unknown(_) => None,
            LoadAddress::Known(bias) => Some(*bias),
        }
    }

    pub(crate) fn forget(&mut self) {
        if !matches!(self, LoadAddress::AsLinked) {
            *self = LoadAddress::Unknown(None);
        }
    }

    /// Takes the records of a frame. `addresses` are the addresses of all callsites, and `fits` tells whether
    /// a record can belong to the callsite at an address.
    pub(crate) fn learn<A: Iterator<Item = u64>>(
        &mut self,
        seen: impl Iterator<Item = Seen>,
        addresses: impl Fn() -> A,
        fits: impl Fn(&Seen, u64) -> bool,
    ) {
        let LoadAddress::Unknown(possible) = self else { return };
        for seen in seen {
            if let Some(biases) = possible {
                biases.retain(|bias| seen.id.checked_sub(*bias).is_some_and(|address| fits(&seen, address)));
            }
            // Records that contradict each other prove nothing, so start again.
            if possible.as_ref().is_none_or(Vec::is_empty) {
                let of_pages = |bias: &u64| bias.is_multiple_of(PAGE);
                let fitting = addresses().filter(|address| fits(&seen, *address));
                let mut biases: Vec<u64> =
                    fitting.filter_map(|address| seen.id.checked_sub(address)).filter(of_pages).collect();
                // A program may also run at its addresses in the ELF.
                if biases.contains(&0) {
                    biases = vec![0];
                }
                *possible = Some(biases);
            }
        }
        if let Some([bias]) = possible.as_deref() {
            *self = LoadAddress::Known(*bias);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Callsites 48 bytes apart over eight pages, all alike, so that every page has some at the same offsets.
    fn addresses() -> impl Iterator<Item = u64> {
        (0..8 * PAGE).step_by(48).map(|at| 0x1000 + at)
    }

    fn learn(place: &mut LoadAddress, ids: &[u64]) {
        let seen = ids.iter().map(|id| Seen { id: *id, role: Role::Event, fields: 0 });
        place.learn(seen, addresses, |_, address| addresses().any(|at| at == address));
    }

    #[test]
    fn records_narrow_down_where_a_program_is() {
        let bias = 0x5555_5555_4000;
        let all: Vec<u64> = addresses().map(|at| at + bias).collect();
        let mut address = LoadAddress::Unknown(None);
        // 48 divides three pages, so what is at an offset in one page is there again three pages later.
        learn(&mut address, &all[..1]);
        assert_eq!(address.bias(), None, "{address:?}");
        // The last callsite leaves only one offset.
        learn(&mut address, &all[all.len() - 1..]);
        assert_eq!(address.bias(), Some(bias));
        address.forget();
        assert_eq!(address.bias(), None, "the next start is elsewhere");
        learn(&mut address, &[all[0], 7, all[0], all[all.len() - 1]]);
        assert_eq!(address.bias(), Some(bias), "a foreign id between is no obstacle");
        let mut fixed = LoadAddress::AsLinked;
        fixed.forget();
        learn(&mut fixed, &all);
        assert_eq!(fixed.bias(), Some(0), "firmware is where it was linked");
    }
}
