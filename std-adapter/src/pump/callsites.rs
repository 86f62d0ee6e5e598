//! The pump's table of callsites: maps the number in a record to its callsite, prepared once.

use std::sync::Arc;
use throughline::adapter::callsite::{Blob, Kind, registry};
use throughline_export::otlp::{Options, Site};
use throughline_export::view::Scope;
use throughline_export::{Mask, Redaction};

/// A callsite, prepared for views.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) blob: Blob<'static>,
    pub(super) names: Box<[Name]>,
    pub(super) scope: Scope<'static>,
    pub(super) site: Site<'static>,
}

/// The name of a field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    pub(super) text: &'static str,
    /// Whether its values never leave the process.
    pub(super) is_secret: bool,
}

/// Callsites by number. The table grows with the program's callsites, of which there are at most 65,534.
#[derive(Debug)]
pub(super) struct Callsites {
    table: Vec<Option<Box<Entry>>>,
    options: Options,
    redaction: Arc<Redaction>,
}

impl Callsites {
    pub(super) fn new(options: Options, redaction: Arc<Redaction>) -> Callsites {
        Callsites { table: Vec::new(), options, redaction }
    }

    /// Whether values under this key, which no callsite has, never leave the process.
    pub(super) fn is_secret(&self, key: &str) -> bool {
        self.redaction.hides(key)
    }

    /// The callsite with this number, if it is in the table; see [`Callsites::learn`].
    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<&Entry> {
        self.table.get(number as usize)?.as_deref()
    }

    /// Makes sure that the table has callsite `number`, if the program has it.
    #[inline]
    pub(super) fn learn(&mut self, number: u32) {
        if self.get(number).is_none() {
            self.look_for(number);
        }
    }

    /// When threads first use a callsite at the same time, one of them adds it to the list while the others
    /// already record. So a missing callsite may be added in a moment, and this waits for it, but not
    /// forever. Recording threads never wait.
    #[cold]
    fn look_for(&mut self, number: u32) {
        for _ in 0..100 {
            self.refresh();
            if self.get(number).is_some() {
                return;
            }
            std::thread::yield_now();
        }
    }

    fn refresh(&mut self) {
        registry::for_each(|callsite| {
            let number = callsite.id() as usize;
            if self.table.len() <= number {
                self.table.resize_with(number + 1, || None);
            }
            if self.table[number].is_none() {
                let mut blob = callsite.blob();
                let mut mask = Mask::new(Arc::clone(&self.redaction));
                // A bridge makes names of spans at run time. What is in a message comes with its placeholders.
                if blob.kind == Kind::Span
                    && let Some(masked) = mask.masked(blob.name)
                {
                    // A callsite stays as long as the process runs.
                    blob.name = String::leak(masked);
                }
                let told = mask.placeholders(blob.name);
                let is_secret = |text| told.contains(&text) || self.redaction.hides(text);
                let name = |text| Name { text, is_secret: is_secret(text) };
                let names: Box<[Name]> = blob.fields().map(name).collect();
                let site = Site::new(&blob, self.options);
                let has_secrets = names.iter().any(|name| name.is_secret);
                let site = if has_secrets { site.not_plain() } else { site };
                let scope = Scope::of(blob.package, blob.version, blob.target);
                self.table[number] = Some(Box::new(Entry { blob, names, scope, site }));
            }
        });
    }
}
