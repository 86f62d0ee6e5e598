//! The identity of the device.

/// What the stream says of the device; all of it is in the preamble.
///
/// ```
/// use throughline_embedded::{Config, DeviceId};
/// let config = Config { name: "pump", device_id: DeviceId::new(17), boot_epoch: 3, ..Config::DEFAULT };
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Service name, at most 63 bytes.
    pub name: &'static str,
    /// Identity of the device; its trace ids are derived from it.
    pub device_id: DeviceId,
    /// Number of this boot: another after each reset, or span ids repeat. See [`BootEpoch`](crate::BootEpoch).
    pub boot_epoch: u32,
    /// GNU build id of the ELF, at most 32 bytes. When it is empty, the program finds out by itself: the build id that the linker made if it
    /// was given `throughline.x`, and else a checksum of the callsites, which then lie in flash.
    pub build_id: &'static [u8],
}

impl Config {
    /// A device with no name and identity 0, in boot 0: to be filled in with struct update syntax.
    pub const DEFAULT: Config =
        Config { name: "", device_id: DeviceId::new(0), boot_epoch: 0, build_id: &[] };
}

impl Default for Config {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Identity of a device: 64 bits that no other device has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeviceId(u64);

impl DeviceId {
    /// An identity that was assigned, a serial number, say.
    pub const fn new(id: u64) -> DeviceId {
        DeviceId(id)
    }

    /// An identity made of the unique id that most microcontrollers have (96 bits of lot, wafer and position on an STM32, 64 on an nRF or
    /// RP2040). FNV-1a of 64 bits and then SplitMix64's finaliser, which spreads ids that differ in few bits; of 10,000 devices two are the same
    /// with a probability of 3 · 10⁻¹².
    ///
    /// ```
    /// use throughline_embedded::DeviceId;
    /// assert_ne!(DeviceId::from_bytes(&[0; 12]), DeviceId::from_bytes(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
    /// ```
    pub const fn from_bytes(bytes: &[u8]) -> DeviceId {
        let mut x: u64 = 0xCBF2_9CE4_8422_2325;
        let mut i = 0;
        while i < bytes.len() {
            x = (x ^ bytes[i] as u64).wrapping_mul(0x0000_0100_0000_01B3);
            i += 1;
        }
        x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        DeviceId(x ^ x >> 31)
    }

    /// The identity as the wire has it.
    pub const fn to_u64(self) -> u64 {
        self.0
    }
}
