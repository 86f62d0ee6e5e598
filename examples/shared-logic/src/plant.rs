//! The simulated environment: a room whose temperature drifts, a noisy sensor with a loose wire, and a valve.
//! It is the same on every machine.

use crate::Channel;

/// A plant whose answer to a conversion depends only on the conversions before it.
#[derive(Clone, Debug)]
pub struct Plant {
    noise: Lcg,
    /// Number of temperature conversions so far.
    measured: u32,
    /// The room's temperature as the converter would read it without noise.
    room: i32,
    warming: bool,
}

impl Plant {
    /// The wire is loose once in this many temperature conversions.
    const LOOSE_EVERY: u32 = 4;

    /// A plant whose noise has this seed.
    pub const fn new(seed: u32) -> Plant {
        Plant { noise: Lcg(seed), measured: 0, room: 1500, warming: true }
    }

    /// The converter's present reading, 12 bits.
    pub fn convert(&mut self, channel: Channel) -> u16 {
        let noise = (self.noise.next() % 41) as i32 - 20;
        let value = match channel {
            Channel::Valve => 2048 + noise,
            Channel::Temperature => {
                self.measured += 1;
                let drift = (self.noise.next() % 65) as i32;
                self.room += if self.warming { drift } else { -drift };
                // The room warms by day and cools by night.
                self.warming = if self.warming { self.room < 2400 } else { self.room < 1400 };
                // A loose wire reads as the full scale.
                if self.measured.is_multiple_of(Self::LOOSE_EVERY) { 4095 } else { self.room + noise }
            }
        };
        value.clamp(0, 4095) as u16
    }
}

/// A linear congruential generator with the constants of *Numerical Recipes*; its high half is good enough for noise.
#[derive(Clone, Debug)]
struct Lcg(u32);

impl Lcg {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn the_same_seed_gives_the_same_world() {
        let read = |seed| {
            let mut plant = Plant::new(seed);
            (0..40).map(|_| plant.convert(Channel::Temperature)).collect::<Vec<_>>()
        };
        assert_eq!(read(7), read(7));
        assert_ne!(read(7), read(8));
        assert_eq!(read(7).iter().filter(|raw| **raw == 4095).count(), 10);
    }

    #[test]
    fn the_room_stays_within_what_the_sensor_can_read() {
        let mut plant = Plant::new(7);
        let read = (0..4000).map(|_| plant.convert(Channel::Temperature)).filter(|raw| *raw != 4095);
        let (low, high) = read.fold((u16::MAX, 0), |(low, high), raw| (low.min(raw), high.max(raw)));
        assert!((1300..1450).contains(&low) && (2350..2500).contains(&high), "{low} to {high}");
    }
}
