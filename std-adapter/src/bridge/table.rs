//! A table from the places of another API to what a bridge has prepared for each. Looking up is a hash and a few
//! loads; nothing waits.

use std::sync::atomic::{AtomicPtr, Ordering};

/// The number of places; a power of two. Bridges keep no more callsites than the core has room for.
const SIZE: usize = 8192;
/// How many neighbours of its first choice a place may take.
const PROBES: usize = 32;

/// The prepared values. They live as long as the process.
#[derive(Debug)]
pub(crate) struct Table<T: 'static>([AtomicPtr<T>; SIZE]);

impl<T: Sync> Table<T> {
    pub(crate) const fn new() -> Table<T> {
        Table([const { AtomicPtr::new(core::ptr::null_mut()) }; SIZE])
    }

    /// The value for which `is_it` holds, prepared by `make` on the first call. `None` when there is no room, or
    /// `make` returns `None`. `hash` must be equal in all calls for one value.
    #[inline]
    pub(crate) fn get_or_make(
        &self,
        hash: usize,
        is_it: impl Fn(&T) -> bool,
        make: impl Fn() -> Option<T>,
    ) -> Option<&'static T> {
        for probe in 0..PROBES {
            let place = &self.0[hash.wrapping_add(probe) % SIZE];
            // SAFETY: the pointer is null or comes from the box that the exchange below published with Release, and
            // nothing frees it afterwards.
            let there = match unsafe { place.load(Ordering::Acquire).as_ref() } {
                Some(there) => there,
                None => self.fill(place, make()?),
            };
            if is_it(there) {
                return Some(there);
            }
        }
        None
    }

    /// Puts a value into an empty place, and returns what is there then.
    #[cold]
    fn fill(&self, place: &AtomicPtr<T>, value: T) -> &'static T {
        let own = Box::into_raw(Box::new(value));
        match place.compare_exchange(core::ptr::null_mut(), own, Ordering::Release, Ordering::Acquire) {
            // SAFETY: the box is never freed from now on.
            Ok(_) => unsafe { &*own },
            Err(there) => {
                // SAFETY: no other thread has seen this box.
                drop(unsafe { Box::from_raw(own) });
                // SAFETY: as above, another thread published this pointer.
                unsafe { &*there }
            }
        }
    }
}

/// Spreads an address or a number over the table (Knuth).
#[cfg(any(test, feature = "log", feature = "opentelemetry", feature = "tracing"))]
#[inline]
pub(super) fn spread(value: usize) -> usize {
    ((value as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as usize
}

/// Adds a text, wherever it is, to a hash (FxHash, as rustc uses it).
#[cfg(feature = "opentelemetry")]
#[inline]
pub(super) fn add_text(hash: usize, text: &str) -> usize {
    let mut hash = add_number(hash, text.len() as u64);
    let mut chunks = text.as_bytes().chunks_exact(8);
    for chunk in &mut chunks {
        hash = add_number(hash, u64::from_le_bytes(chunk.try_into().unwrap_or_default()));
    }
    let mut rest = [0; 8];
    rest[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
    add_number(hash, u64::from_le_bytes(rest))
}

/// Adds a number to a hash.
#[cfg(feature = "opentelemetry")]
#[inline]
pub(super) fn add_number(hash: usize, number: u64) -> usize {
    ((hash as u64).rotate_left(5) ^ number).wrapping_mul(0x517C_C1B7_2722_0A95) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_has_one_value_and_a_full_neighbourhood_has_no_room() {
        static TABLE: Table<(usize, usize)> = Table::new();
        let get = |n: usize, made: usize| {
            TABLE.get_or_make(7, |there| there.0 == n, || Some((n, made))).map(|value| value.1)
        };
        let first: Vec<_> = (0..PROBES).map(|n| get(n, n)).collect();
        assert_eq!(first, (0..PROBES).map(Some).collect::<Vec<_>>());
        assert_eq!((get(3, 99), get(PROBES, 1)), (Some(3), None));
        assert_eq!(TABLE.get_or_make(500, |_| true, || None), None);
    }

    #[test]
    fn threads_that_come_first_at_the_same_time_get_one_value() {
        static TABLE: Table<(usize, usize)> = Table::new();
        let made: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|thread| {
                    scope.spawn(move || {
                        (0..64)
                            .map(|n| TABLE.get_or_make(spread(n), |it| it.0 == n, || Some((n, thread))))
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(made.windows(2).all(|pair| pair[0] == pair[1]));
    }
}
