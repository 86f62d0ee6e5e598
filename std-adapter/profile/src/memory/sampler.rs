//! Samples allocations by bytes, and keeps for each place that allocates what its samples stand for.

use super::counts::{self, Counts};
use super::live::{self, Sampled};
use super::sizes::{Sizes, Table};
use crate::modules::{self, Modulewise};
use crate::profile::{Kind, Losses, Profile};
use crate::stack::{Labels, Sample, Stack};
use crate::unwind::{self, End, MAX_FRAMES, Scratch, Start};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Objects are counted in parts of this, because a sample stands for a fraction of one too.
const PARTS: f64 = 256.0;

/// Most places that are told apart.
const MAX_SITES: usize = 100_000;

/// A place that allocates.
pub(super) struct Site {
    addresses: Box<[u64]>,
    end: End,
    objects: AtomicU64,
    bytes: AtomicU64,
    live_objects: AtomicU64,
    live_bytes: AtomicU64,
}

impl Site {
    pub(super) fn add_live(&self, objects: u64, bytes: u64) {
        self.live_objects.fetch_add(objects, Ordering::Relaxed);
        self.live_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn remove_live(&self, objects: u64, bytes: u64) {
        self.live_objects.fetch_sub(objects, Ordering::Relaxed);
        self.live_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

static ON: AtomicBool = AtomicBool::new(false);
/// Bytes from one sample to the next, on average.
static INTERVAL: AtomicU64 = AtomicU64::new(512 * 1024);
static SAMPLES: AtomicU64 = AtomicU64::new(0);
static CONTENDED: AtomicU64 = AtomicU64::new(0);
static FULL: AtomicU64 = AtomicU64::new(0);
static SIZES: Table = Table::new();
static STATE: Mutex<Option<State>> = Mutex::new(None);
/// What walking stacks needs; so many threads can do it at the same time.
static WALKERS: [Mutex<Option<Walker>>; 4] = [const { Mutex::new(None) }; 4];
/// How often a thread looks again whether another one has left the sites. It is there for about a microsecond.
const LOOKS: usize = 1000;

struct State {
    sites: HashMap<Walked<'static>, &'static Site>,
    started: SystemTime,
}

/// What distinguishes a place that allocates: the addresses of its stack, and how its walk ended.
#[derive(PartialEq, Eq, Hash)]
struct Walked<'a>(&'a [u64], End);

struct Walker {
    scratch: Scratch,
    addresses: Vec<u64>,
}

/// Keeps the running thread's own allocations from being sampled.
struct Inside<'a>(&'a Counts);

impl<'a> Inside<'a> {
    fn enter(counts: &'a Counts) -> Option<Inside<'a>> {
        if counts.inside.load(Ordering::Relaxed) {
            return None;
        }
        counts.inside.store(true, Ordering::Relaxed);
        Some(Inside(counts))
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside.store(false, Ordering::Relaxed);
    }
}

/// Runs `f` with the state, unsampled.
fn with_state<R>(f: impl FnOnce(&mut Option<State>) -> R) -> R {
    let _inside = counts::here().and_then(Inside::enter);
    f(&mut STATE.lock().unwrap_or_else(PoisonError::into_inner))
}

pub(super) fn start(interval: u64) {
    INTERVAL.store(interval, Ordering::Relaxed);
    with_state(|state| {
        let started = SystemTime::now();
        let known = state.take().map(|state| state.sites).unwrap_or_default();
        // A profile begins with nothing allocated. What is in use of an earlier one is still known.
        known.values().for_each(|site| {
            site.objects.store(site.live_objects.load(Ordering::Relaxed), Ordering::Relaxed);
            site.bytes.store(site.live_bytes.load(Ordering::Relaxed), Ordering::Relaxed);
        });
        *state = Some(State { sites: known, started });
        for walker in &WALKERS {
            let new = || Walker { scratch: Scratch::new(), addresses: Vec::with_capacity(MAX_FRAMES) };
            walker.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(new);
        }
    });
    [&SAMPLES, &CONTENDED, &FULL].into_iter().for_each(|count| count.store(0, Ordering::Relaxed));
    counts::begin_profiler();
    ON.store(live::install(), Ordering::Release);
    counts::draw_anew();
}

pub(super) fn stop() {
    ON.store(false, Ordering::Release);
}

pub(super) fn is_on() -> bool {
    ON.load(Ordering::Acquire)
}

/// A thread has allocated as many bytes as lie between two samples.
#[cold]
#[inline(never)]
pub(super) fn due(block: *mut u8, size: usize) {
    let Some(counts) = counts::here() else { return };
    // What a sample allocates itself is within the distance to the next one, which is set afterwards.
    let Some(_inside) = Inside::enter(counts) else { return };
    let profiler = counts::profiler();
    let interval = INTERVAL.load(Ordering::Relaxed);
    if counts.is_undrawn(profiler) {
        let until = distance(counts, interval).saturating_sub_unsigned(size as u64);
        if until >= 0 {
            return counts.set_until(until, profiler);
        }
    }
    if ON.load(Ordering::Acquire) && !crate::cpu::is_forked() {
        sample(block, size, interval);
    }
    counts.set_until(distance(counts, interval), profiler);
}

/// Bytes to the next sample: exponentially distributed, so that each byte is as likely as any other to be sampled.
fn distance(counts: &Counts, interval: u64) -> i64 {
    // Xorshift64* (Marsaglia, Vigna).
    let mut x = counts.random.load(Ordering::Relaxed);
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    counts.random.store(x, Ordering::Relaxed);
    let bits = x.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11;
    let uniform = (bits as f64 + 1.0) / (1_u64 << 53) as f64;
    (-uniform.ln() * interval as f64) as i64
}

fn sample(block: *mut u8, size: usize, interval: u64) {
    // Waiting for a lock here could deadlock a process that forks, and would slow down others that allocate.
    let Some(mut walker) = WALKERS.iter().find_map(|walker| walker.try_lock().ok()) else {
        CONTENDED.fetch_add(1, Ordering::Relaxed);
        return;
    };
    let Some(Walker { scratch, addresses }) = walker.as_mut() else { return };
    addresses.clear();
    let stack = unwind::own_stack();
    let walked = modules::with(|modules| {
        let start = Start::here();
        let mapped = start.in_use(&stack);
        // SAFETY: the stack is the running thread's.
        unsafe {
            scratch.walk(modules?, start, mapped, |address| {
                addresses.push(address);
                true
            })
        }
    });
    let Some(end) = walked else { return };
    let look = || {
        std::hint::spin_loop();
        STATE.try_lock().ok()
    };
    let Some(mut state) = std::iter::repeat_with(look).take(LOOKS).flatten().next() else {
        CONTENDED.fetch_add(1, Ordering::Relaxed);
        return;
    };
    let Some(State { sites, .. }) = state.as_mut() else { return };
    // The chance that a block of this size is sampled.
    let chance = -(-(size as f64) / interval as f64).exp_m1();
    let objects = (PARTS / chance).round() as u64;
    let bytes = (size as f64 / chance).round() as u64;
    let known = known(sites, addresses, end);
    if known.is_none() && sites.len() >= MAX_SITES {
        FULL.fetch_add(1, Ordering::Relaxed);
        return;
    }
    let site = known.unwrap_or_else(|| {
        let zero = || AtomicU64::new(0);
        let addresses = addresses.as_slice().into();
        let site =
            Site { addresses, end, objects: zero(), bytes: zero(), live_objects: zero(), live_bytes: zero() };
        let site = Box::leak(Box::new(site));
        sites.insert(Walked(&site.addresses, end), site);
        site
    });
    if !live::put(block, Sampled { site, objects, bytes }) {
        FULL.fetch_add(1, Ordering::Relaxed);
        return;
    }
    site.objects.fetch_add(objects, Ordering::Relaxed);
    site.bytes.fetch_add(bytes, Ordering::Relaxed);
    SIZES.add(size, 1.0 / chance);
    SAMPLES.fetch_add(1, Ordering::Relaxed);
}

/// The place with this stack. A function of its own, because the key here lives shorter than those of the map.
fn known<'a>(
    sites: &HashMap<Walked<'a>, &'static Site>,
    addresses: &'a [u64],
    end: End,
) -> Option<&'static Site> {
    sites.get(&Walked(addresses, end)).copied()
}

/// The sizes of all that was allocated while a profiler ran.
pub(super) fn sizes() -> Sizes {
    SIZES.read()
}

/// What was allocated since the start, and what of it is in use.
pub(super) fn profile() -> Profile {
    let modules = modules::refresh();
    with_state(|state| {
        let Some(State { sites, started, .. }) = state else { return Profile::default() };
        let mut by_module = Modulewise::default();
        let (mut stacks, mut samples) = (Vec::new(), Vec::new());
        for site in sites.values() {
            let parts = |count: &AtomicU64| (count.load(Ordering::Relaxed) as f64 / PARTS).round() as u64;
            let bytes = |count: &AtomicU64| count.load(Ordering::Relaxed);
            let values = [
                parts(&site.objects),
                bytes(&site.bytes),
                parts(&site.live_objects),
                bytes(&site.live_bytes),
            ];
            if values == [0; 4] {
                continue;
            }
            samples.push(Sample { stack: stacks.len() as u32, labels: Labels::default(), values });
            let frames = site.addresses.iter().map(|&address| by_module.frame(address, &modules)).collect();
            stacks.push(Arc::new(Stack { frames, end: site.end }));
        }
        samples.sort_unstable_by_key(|sample| std::cmp::Reverse(sample.values[1]));
        let started = *started;
        Profile {
            kind: Kind::Heap { interval: INTERVAL.load(Ordering::Relaxed) },
            started,
            duration: started.elapsed().unwrap_or_default(),
            delivered: SAMPLES.load(Ordering::Relaxed),
            stacks,
            samples,
            modules: by_module.modules,
            threads: Vec::new(),
            label_sets: Vec::new(),
            losses: Losses {
                contended: CONTENDED.load(Ordering::Relaxed),
                table_full: FULL.load(Ordering::Relaxed),
                ..Losses::default()
            },
        }
    })
}
