//! How large the blocks are that a program allocates.

use std::sync::atomic::{AtomicU64, Ordering};

/// A range of sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SizeCategory {
    /// Less than 64 bytes.
    Tiny,
    /// 64 bytes to less than 4 KiB.
    Small,
    /// 4 KiB to 64 KiB.
    Medium,
    /// More than 64 KiB, to less than 1 MiB.
    Large,
    /// 1 MiB and more.
    Huge,
}

impl SizeCategory {
    /// All of them, the smallest first.
    pub const ALL: [SizeCategory; 5] = [
        SizeCategory::Tiny,
        SizeCategory::Small,
        SizeCategory::Medium,
        SizeCategory::Large,
        SizeCategory::Huge,
    ];

    /// The category of a block with so many bytes.
    pub fn of(bytes: u64) -> SizeCategory {
        match bytes {
            0..64 => SizeCategory::Tiny,
            64..4096 => SizeCategory::Small,
            4096..=65_536 => SizeCategory::Medium,
            65_537..1_048_576 => SizeCategory::Large,
            _ => SizeCategory::Huge,
        }
    }

    /// `tiny`, `small`, `medium`, `large` or `huge`.
    pub fn as_str(self) -> &'static str {
        match self {
            SizeCategory::Tiny => "tiny",
            SizeCategory::Small => "small",
            SizeCategory::Medium => "medium",
            SizeCategory::Large => "large",
            SizeCategory::Huge => "huge",
        }
    }
}

/// The sizes of the blocks that were allocated since a [`HeapProfiler`](crate::HeapProfiler) started, as its samples tell.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    blocks: [f64; 5],
    bytes: [u64; 5],
    by_power: [u64; 65],
    scored: u64,
}

impl Sizes {
    /// What was allocated after `earlier`.
    pub(super) fn since(&self, earlier: &Sizes) -> Sizes {
        Sizes {
            blocks: std::array::from_fn(|n| self.blocks[n] - earlier.blocks[n]),
            bytes: std::array::from_fn(|n| self.bytes[n].saturating_sub(earlier.bytes[n])),
            by_power: std::array::from_fn(|n| self.by_power[n].saturating_sub(earlier.by_power[n])),
            scored: self.scored.saturating_sub(earlier.scored),
        }
    }

    /// Blocks of a category that were allocated.
    pub fn blocks(&self, category: SizeCategory) -> u64 {
        self.blocks[category as usize].round() as u64
    }

    /// Their bytes.
    pub fn bytes(&self, category: SizeCategory) -> u64 {
        self.bytes[category as usize]
    }

    /// Blocks by size: element *n* counts those of more than 2ⁿ⁻² and at most 2ⁿ⁻¹ bytes, the first one those of 0 bytes.
    pub fn blocks_by_power(&self) -> &[u64; 65] {
        &self.by_power
    }

    /// How well the sizes suit an allocator, 0 to 1; `None` if nothing was sampled. It is the mean over all bytes of *size* × *alignment*
    /// of the block that they are in:
    ///
    /// * *size* is 1 from 4 KiB to 64 KiB, where a block costs little beside its contents and leaves little unused when it is freed. Below, it
    ///   is 1 − log₂(4096 / bytes) / 12, and above, 1 − log₂(bytes / 65536) / 12, but not below 0: each halving or doubling takes a twelfth.
    /// * *alignment* is the share of the block that is used when its size is rounded up to a multiple of 16, which allocators do.
    pub fn efficiency(&self) -> Option<f64> {
        let bytes: u64 = self.bytes.iter().sum();
        (bytes > 0).then(|| (self.scored as f64 / bytes as f64).min(1.0))
    }
}

fn score(bytes: u64) -> f64 {
    let used = bytes.max(1) as f64;
    let size = match bytes {
        0..4096 => 1.0 - (4096.0 / used).log2() / 12.0,
        4096..=65_536 => 1.0,
        _ => 1.0 - (used / 65_536.0).log2() / 12.0,
    };
    size.max(0.0) * used / bytes.max(1).next_multiple_of(16) as f64
}

/// What the samples have told; every word is added to by itself.
pub(super) struct Table {
    parts: [AtomicU64; 5],
    bytes: [AtomicU64; 5],
    by_power: [AtomicU64; 65],
    scored: AtomicU64,
}

/// Blocks are counted in parts of this, because a sample stands for a fraction of one too.
const PARTS: f64 = 256.0;

impl Table {
    pub(super) const fn new() -> Table {
        Table {
            parts: [const { AtomicU64::new(0) }; 5],
            bytes: [const { AtomicU64::new(0) }; 5],
            by_power: [const { AtomicU64::new(0) }; 65],
            scored: AtomicU64::new(0),
        }
    }

    /// Adds a sampled block of `size` bytes that stands for `blocks` of them.
    pub(super) fn add(&self, size: usize, blocks: f64) {
        let size = size as u64;
        let add = |word: &AtomicU64, n: f64| _ = word.fetch_add(n.round() as u64, Ordering::Relaxed);
        let category = SizeCategory::of(size) as usize;
        let bytes = size as f64 * blocks;
        add(&self.parts[category], blocks * PARTS);
        add(&self.bytes[category], bytes);
        add(&self.by_power[power(size)], blocks * PARTS);
        add(&self.scored, bytes * score(size));
    }

    pub(super) fn read(&self) -> Sizes {
        let get = |word: &AtomicU64| word.load(Ordering::Relaxed);
        Sizes {
            blocks: self.parts.each_ref().map(|word| get(word) as f64 / PARTS),
            bytes: self.bytes.each_ref().map(get),
            by_power: self.by_power.each_ref().map(|word| (get(word) as f64 / PARTS).round() as u64),
            scored: get(&self.scored),
        }
    }
}

/// The element of [`Sizes::blocks_by_power`] for a size.
fn power(size: u64) -> usize {
    match size {
        0 => 0,
        1 => 1,
        _ => ((u64::BITS - (size - 1).leading_zeros()) as usize + 1).min(64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_are_the_greatest_of_their_range() {
        assert_eq!([0, 1, 2, 3, 4, 5, 64, 65].map(power), [0, 1, 2, 3, 3, 4, 7, 8]);
        assert_eq!(power(u64::MAX), 64);
    }

    #[test]
    fn scores_follow_the_stated_formula() {
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
        close(score(4096), 1.0);
        close(score(65_536), 1.0);
        close(score(2048), 11.0 / 12.0);
        close(score(131_072), 11.0 / 12.0);
        close(score(16), 1.0 - 8.0 / 12.0);
        close(score(5000), 5000.0 / 5008.0);
        close(score(1), 0.0);
        close(score(1 << 40), 0.0);
    }

    #[test]
    fn samples_add_up_by_category_and_size() {
        let table = Table::new();
        table.add(64, 100.0);
        table.add(8192, 2.5);
        let sizes = table.read();
        assert_eq!((sizes.blocks(SizeCategory::Small), sizes.bytes(SizeCategory::Small)), (100, 6400));
        assert_eq!(sizes.bytes(SizeCategory::Medium), 20_480);
        assert_eq!((sizes.blocks_by_power()[7], sizes.blocks_by_power()[14]), (100, 3));
        let expected = (6400.0 * (1.0 - 6.0 / 12.0) + 20_480.0) / 26_880.0;
        assert!((sizes.efficiency().unwrap() - expected).abs() < 1e-3);
        assert_eq!(table.read().since(&sizes).efficiency(), None);
    }
}
