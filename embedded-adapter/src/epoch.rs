//! The boot epoch: a counter of resets, kept in RAM that the startup code does not clear.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Counts boots in RAM that the startup code does not clear, so that ids differ from those of the boot
/// before.
///
/// ```
/// use throughline_embedded::BootEpoch;
/// // cortex-m-rt and riscv-rt do not clear `.uninit`.
/// # #[cfg(target_os = "none")]
/// #[unsafe(link_section = ".uninit.boot_epoch")]
/// static EPOCH: BootEpoch = BootEpoch::new();
/// # #[cfg(not(target_os = "none"))]
/// # static EPOCH: BootEpoch = BootEpoch::new();
/// let boot_epoch = EPOCH.advance();
/// # assert_eq!((boot_epoch, EPOCH.advance()), (1, 2));
/// ```
///
/// The counter survives a reset (watchdog, panic, button, debugger) but not a loss of power, after which it
/// starts at 1 again. A device that loses power should keep its counter in flash or EEPROM: read it, add one
/// and write it back before [`init`](crate::init), and pass it as
/// [`Config::boot_epoch`](crate::Config::boot_epoch). If each write costs an erase, keep only the upper bits
/// in flash, write them only after a loss of power, and put the count of this type below them:
///
/// ```
/// # use throughline_embedded::BootEpoch;
/// # static EPOCH: BootEpoch = BootEpoch::new();
/// # fn power_cycles_in_flash(_: bool) -> u32 { 7 }
/// let resets = EPOCH.advance();
/// let boot_epoch = power_cycles_in_flash(resets == 1) << 16 | resets & 0xffff;
/// ```
#[derive(Debug)]
#[repr(C)]
pub struct BootEpoch {
    magic: AtomicU32,
    count: AtomicU32,
    check: AtomicU32,
}

const MAGIC: u32 = 0x7B1E_E90C;

impl BootEpoch {
    /// A counter that is not valid yet. Random contents of RAM at the first boot are detected by a checksum.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> BootEpoch {
        BootEpoch { magic: AtomicU32::new(0), count: AtomicU32::new(0), check: AtomicU32::new(0) }
    }

    /// Counts this boot and returns its number: one more than at the last boot, or 1 if RAM held no valid
    /// count. Call it once per boot.
    pub fn advance(&self) -> u32 {
        let count = self.count.load(Relaxed);
        let valid = self.magic.load(Relaxed) == MAGIC && self.check.load(Relaxed) == check(count);
        let count = if valid { count.wrapping_add(1) } else { 1 };
        // A reset between these stores leaves a wrong checksum, so the next boot starts at 1.
        self.check.store(check(count), Relaxed);
        self.count.store(count, Relaxed);
        self.magic.store(MAGIC, Relaxed);
        count
    }
}

fn check(count: u32) -> u32 {
    (count ^ MAGIC).wrapping_mul(0x9E37_79B1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_is_not_believed() {
        let epoch = BootEpoch::new();
        assert_eq!((epoch.advance(), epoch.advance()), (1, 2));
        epoch.count.store(40, Relaxed);
        assert_eq!(epoch.advance(), 1, "one flipped word");
        epoch.magic.store(0, Relaxed);
        assert_eq!(epoch.advance(), 1);
    }
}
