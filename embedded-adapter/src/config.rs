//! Configuration of the flusher: the identity of the device and of its program.

/// The identity that a device sends in each preamble.
///
/// ```
/// use throughline_embedded::{Config, DeviceId};
/// let config = Config { name: "pump", device_id: DeviceId::new(17), boot_epoch: 3, ..Config::DEFAULT };
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Service name. At most 63 bytes are sent; a longer name is cut between two characters.
    pub name: &'static str,
    /// Identity of the device. Its trace ids are derived from it.
    pub device_id: DeviceId,
    /// Number of this boot. It must differ after each reset, because span ids repeat otherwise. See
    /// [`BootEpoch`](crate::BootEpoch).
    pub boot_epoch: u32,
    /// GNU build id of the ELF; at most 32 bytes are sent. If it is empty, the program determines it: it
    /// sends the linker's build id if it was linked with `throughline.x`, and otherwise a checksum of the
    /// callsites, which are then in flash.
    pub build_id: &'static [u8],
}

impl Config {
    /// A device without a name, with identity 0, in boot 0. Use it with struct update syntax.
    pub const DEFAULT: Config =
        Config { name: "", device_id: DeviceId::new(0), boot_epoch: 0, build_id: &[] };
}

impl Default for Config {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Identity of a device: 64 bits that no other device uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeviceId(u64);

impl DeviceId {
    /// An assigned identity, for example a serial number.
    pub const fn new(id: u64) -> DeviceId {
        DeviceId(id)
    }

    /// An identity derived from the unique id of the microcontroller (96 bits of lot, wafer and position on
    /// an STM32; 64 bits on an nRF or RP2040). It is the 64-bit FNV-1a hash, then the finaliser of
    /// SplitMix64, because unique ids differ in few bits. The probability that two of 10,000 devices get the
    /// same identity is 3 · 10⁻¹².
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

    /// The identity as an integer, as it is sent.
    pub const fn to_u64(self) -> u64 {
        self.0
    }
}
