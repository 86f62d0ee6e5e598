//! Callsites that register on first use, under the model checker. Numbers are unique, and contexts that use a
//! callsite first at the same time all record with its one number. A callsite is in the list when the context
//! that adds it is done. In every interleaving with a changing filter, each callsite is in the end on or off
//! as the last settings say. Run with `cargo xtask test --only loom`.
#![cfg(loom)]

use loom::sync::atomic::Ordering::{Acquire, Relaxed};
use loom::sync::atomic::{AtomicUsize, fence};
use loom::thread;
use std::sync::Arc;
use throughline::adapter::ring::{Head, Mode, RawRecord, RecordKind, Ring, Slot};
use throughline::interned::Interned;
use throughline::list::{Link, Linked};
use throughline::registration::{Directory, FIRST, NEW, OFF, Registered, Registration};

/// The settings that switch callsites: a callsite is on if both are 0.
struct Settings([AtomicUsize; 2]);

struct Site {
    registration: Registration<Site>,
    settings: Arc<Settings>,
}

impl Linked for Site {
    fn link(&self) -> &Link<Site> {
        self.registration.link()
    }
}

impl Registered for Site {
    fn registration(&self) -> &Registration<Site> {
        &self.registration
    }
    fn wanted(&self) -> bool {
        self.settings.0.iter().all(|s| s.load(Relaxed) == 0)
    }
}

#[derive(Clone)]
struct Program {
    directory: Arc<Directory<Site>>,
    settings: Arc<Settings>,
    sites: [&'static Site; 2],
}

impl Program {
    fn new() -> Program {
        let settings = Arc::new(Settings([AtomicUsize::new(0), AtomicUsize::new(0)]));
        let site = |_| -> &'static Site {
            Box::leak(Box::new(Site { registration: Registration::new(), settings: settings.clone() }))
        };
        Program {
            directory: Arc::new(Directory::new()),
            sites: core::array::from_fn(site),
            settings: settings.clone(),
        }
    }

    /// What a callsite does before it records, as in `Callsite::enabled`.
    fn enabled(&self, site: usize) -> Option<u32> {
        match self.sites[site].registration.state() {
            OFF => None,
            NEW => self.directory.register(self.sites[site]),
            state => Some(state),
        }
    }

    fn set(&self, setting: usize, to: usize) {
        self.settings.0[setting].store(to, Relaxed);
        self.directory.settings_changed();
    }

    fn spawn<R: 'static>(&self, f: impl FnOnce(&Program) -> R + 'static) -> thread::JoinHandle<R> {
        let program = self.clone();
        thread::spawn(move || f(&program))
    }
}

fn model(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(f);
}

#[test]
fn two_threads_use_the_same_callsite_first() {
    model(4, || {
        let program = Program::new();
        let other = program.spawn(|p| p.enabled(0));
        let mine = program.enabled(0);
        let theirs = other.join().unwrap();
        // Both record with one number, although the other context may have drawn a number too.
        assert_eq!(mine, theirs);
        assert!(mine.is_some_and(|n| n <= FIRST + 1), "{mine:?}");
        assert_eq!(program.enabled(0), mine);
        assert_eq!(program.directory.iter().count(), 1);
    });
}

#[test]
fn two_callsites_register_at_once() {
    model(4, || {
        let program = Program::new();
        let other = program.spawn(|p| p.enabled(0));
        let mine = program.enabled(1);
        let mut numbers = [mine, other.join().unwrap()].map(|n| n.expect("nobody else is at it"));
        numbers.sort_unstable();
        assert_eq!(numbers, [FIRST, FIRST + 1]);
        let mut listed: Vec<u32> = program.directory.iter().map(|s| s.registration.number()).collect();
        listed.sort_unstable();
        assert_eq!(listed, numbers);
    });
}

/// A context that uses a callsite second gets its number from the state alone. The language does not order
/// that read with the list. Every supported processor does, because the read comes before the stores of the
/// record with that number, and the last of these is a release. The fence tells the model checker so.
#[test]
fn a_reader_that_meets_a_number_finds_its_callsite_in_the_end() {
    model(4, || {
        let program = Program::new();
        let slots: &'static [Slot] = Vec::leak((0..8).map(|_| Slot::new()).collect());
        let ring = Arc::new(Ring::new(slots, Mode::SharedOldest));
        let record = move |p: &Program, ring: &Ring<'_>| {
            if let Some(number) = p.enabled(0) {
                fence(Acquire);
                ring.push(Head::new(RecordKind::Event, number, 0, 0), &[0], 0);
            }
        };
        let writer = {
            let ring = ring.clone();
            program.spawn(move |p| record(p, &ring))
        };
        let second = {
            let ring = ring.clone();
            program.spawn(move |p| record(p, &ring))
        };
        let mut raw = RawRecord::new();
        let met = ring.reader().unwrap().next(&mut raw);
        writer.join().unwrap();
        second.join().unwrap();
        // The reader may have to look again: the context whose record it read may not be the one that adds
        // the callsite to the list.
        let number = raw.head.callsite;
        assert!(!met || program.directory.iter().any(|s| s.registration.number() == number), "no {number}");
    });
}

#[test]
fn a_filter_that_changes_during_the_first_use_has_the_last_word() {
    model(4, || {
        let program = Program::new();
        let user = program.spawn(|p| p.enabled(0));
        program.set(0, 1);
        // If it was on before the change, it is off at once; otherwise it is off when its first use is done.
        user.join().unwrap();
        assert_eq!(program.enabled(0), None);
        program.set(0, 0);
        assert_eq!(program.enabled(0), Some(FIRST));
    });
}

#[test]
fn two_settings_that_change_at_once_both_count() {
    model(3, || {
        let program = Program::new();
        program.set(0, 1);
        assert_eq!(program.enabled(0), None);
        // One change turns it off, the other one on. A context that decided by the state in between must not
        // be the last to decide.
        let other = program.spawn(|p| p.set(1, 1));
        program.set(0, 0);
        other.join().unwrap();
        assert_eq!(program.enabled(0), None);
        program.set(1, 0);
        assert_eq!(program.enabled(0), Some(FIRST));
    });
}

#[test]
fn equal_descriptions_made_at_run_time_are_one_callsite_and_the_table_stays_bounded() {
    model(3, || {
        let table: Arc<Interned<u8>> = Arc::new(Interned::new(2));
        let get = |table: &Interned<u8>, blob: &[u8]| {
            table.get_or_make(blob, |blob| blob[0]).map(|value| value as *const u8 as usize)
        };
        let other = {
            let table = Arc::clone(&table);
            thread::spawn(move || (get(&table, b"a"), get(&table, b"b")))
        };
        let a = get(&table, b"a");
        let (other_a, b) = other.join().unwrap();
        // While both make the same value they take two places; afterwards they take one.
        assert_eq!(table.refused(), [a, other_a, b].iter().filter(|made| made.is_none()).count());
        let again = get(&table, b"a");
        assert!(again.is_some());
        assert!([a, other_a].iter().all(|made| made.is_none() || *made == again), "one value for both");
        assert!(get(&table, b"b").is_some(), "there is room again");
        assert!(get(&table, b"c").is_none());
    });
}
