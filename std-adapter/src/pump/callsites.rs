//! The pump's table of callsites: what a record's number stands for, prepared once.

use crate::otlp::{Options, Site};
use throughline::callsite::{Blob, registry};

/// A callsite, ready for views.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) blob: Blob<'static>,
    pub(super) names: Box<[&'static str]>,
    pub(super) site: Site<'static>,
}

/// Callsites by number. Grows with the program's callsites, of which there are at most 65,532.
#[derive(Debug)]
pub(super) struct Callsites {
    table: Vec<Option<Box<Entry>>>,
    options: Options,
}

impl Callsites {
    pub(super) fn new(options: Options) -> Callsites {
        Callsites { table: Vec::new(), options }
    }

    /// The callsite with this number, if it is in the table; see [`Callsites::learn`].
    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<&Entry> {
        self.table.get(number as usize)?.as_deref()
    }

    /// Makes sure that the table has `number`, if the program has it.
    #[inline]
    pub(super) fn learn(&mut self, number: u32) {
        if self.get(number).is_none() {
            self.refresh();
        }
    }

    #[cold]
    fn refresh(&mut self) {
        registry::for_each(|callsite| {
            let number = callsite.id() as usize;
            if self.table.len() <= number {
                self.table.resize_with(number + 1, || None);
            }
            if self.table[number].is_none() {
                let blob = callsite.blob();
                let site = Site::new(&blob, self.options);
                self.table[number] = Some(Box::new(Entry { blob, names: blob.fields().collect(), site }));
            }
        });
    }
}
