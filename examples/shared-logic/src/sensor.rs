//! The temperature sensor: range check, median filter, smoothing, calibration.

use core::fmt;
use throughline::{StaticStr, counter_family, error, gauge, histogram, record, span};

use crate::Sample;

/// Why a sample is not a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The reading is at the upper end: nothing is connected.
    OpenCircuit(u16),
    /// The reading is at the lower end: the wires touch.
    ShortCircuit(u16),
}

impl Fault {
    /// Its name as a label.
    pub const fn kind(self) -> &'static str {
        match self {
            Fault::OpenCircuit(_) => "open_circuit",
            Fault::ShortCircuit(_) => "short_circuit",
        }
    }

    /// The converter's reading.
    pub const fn raw(self) -> u16 {
        match self {
            Fault::OpenCircuit(raw) | Fault::ShortCircuit(raw) => raw,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::OpenCircuit(raw) => write!(f, "open circuit: raw {raw}, check the connector"),
            Fault::ShortCircuit(raw) => write!(f, "short circuit: raw {raw}, check the wiring"),
        }
    }
}

impl core::error::Error for Fault {}

/// Two points of the sensor's line: raw values, and their temperatures in hundredths of a degree Celsius.
#[derive(Clone, Copy, Debug)]
pub struct Calibration {
    /// The lower point.
    pub low: (i32, i32),
    /// The upper point.
    pub high: (i32, i32),
}

impl Calibration {
    /// Hundredths of a degree Celsius for a raw value.
    pub fn apply(&self, raw: i32) -> i32 {
        let (raw0, value0) = self.low;
        let (raw1, value1) = self.high;
        value0 + (raw - raw0) * (value1 - value0) / (raw1 - raw0)
    }
}

/// A temperature sensor.
#[derive(Clone, Debug)]
pub struct Sensor {
    calibration: Calibration,
    filter: Filter,
}

impl Sensor {
    /// Lower raw values mean a short circuit.
    const LOWEST: u16 = 100;
    /// Higher raw values mean an open circuit.
    const HIGHEST: u16 = 3995;

    /// A sensor with this calibration.
    pub const fn new(calibration: Calibration) -> Sensor {
        Sensor { calibration, filter: Filter::new() }
    }

    /// The temperature in hundredths of a degree Celsius.
    ///
    /// # Errors
    ///
    /// Fails if the sample is outside the sensor's range; the filter is not changed then.
    pub fn measure(&mut self, sample: Sample) -> Result<i32, Fault> {
        let mut span = span!("sensor.measure", sequence = sample.sequence, raw = sample.raw);
        histogram!("sensor.raw", unit = "{count}", description = "what the converter read", scale = 2)
            .record(usize::from(sample.raw));
        match self.convert(sample.raw) {
            Ok(centi) => {
                // Pass an `f64`, which a server keeps and a microcontroller rounds to `f32`: both then show
                // 17.62 and not 17.6200008392334.
                gauge!("room.temperature" as f32, unit = "Cel").set(f64::from(centi) / 100.0);
                record!(span, celsius = centi as f32 / 100.0);
                Ok(centi)
            }
            Err(fault) => {
                counter_family!("sensor.faults", labels = ["kind"], capacity = 4, unit = "{fault}")
                    .add([fault.kind()], 1);
                error!("sensor fault: {kind}", kind = StaticStr(fault.kind()), raw = fault.raw());
                span.fail(&fault);
                Err(fault)
            }
        }
    }

    fn convert(&mut self, raw: u16) -> Result<i32, Fault> {
        match raw {
            ..Self::LOWEST => Err(Fault::ShortCircuit(raw)),
            Self::LOWEST..=Self::HIGHEST => Ok(self.calibration.apply(self.filter.add(raw.into()))),
            _ => Err(Fault::OpenCircuit(raw)),
        }
    }
}

/// A median of three against spikes, then exponential smoothing against noise. It uses only integers, so it
/// is the same on every machine.
#[derive(Clone, Debug)]
struct Filter {
    last: [i32; 3],
    /// Sixteen times the smoothed value.
    smooth: i32,
    seen: u32,
}

impl Filter {
    const fn new() -> Filter {
        Filter { last: [0; 3], smooth: 0, seen: 0 }
    }

    fn add(&mut self, raw: i32) -> i32 {
        let _span = span!(level: Debug, "sensor.filter");
        if self.seen == 0 {
            self.last = [raw; 3];
            self.smooth = raw * 16;
        }
        self.last[self.seen as usize % 3] = raw;
        self.seen = self.seen.wrapping_add(1);
        let [a, b, c] = self.last;
        let median = a.min(b).max(a.max(b).min(c));
        // Go a quarter of the way to the new value.
        self.smooth += (median * 16 - self.smooth) / 4;
        self.smooth / 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALIBRATION: Calibration = Calibration { low: (1000, 1000), high: (3000, 4000) };

    fn sample(raw: u16) -> Sample {
        Sample { sequence: 0, raw }
    }

    #[test]
    fn a_steady_input_is_the_calibrated_value() {
        let mut sensor = Sensor::new(CALIBRATION);
        for _ in 0..5 {
            assert_eq!(sensor.measure(sample(2000)), Ok(2500));
        }
    }

    #[test]
    fn one_spike_is_not_seen_at_all() {
        let mut sensor = Sensor::new(CALIBRATION);
        for raw in [2000, 2000, 3900, 2000, 2000] {
            assert_eq!(sensor.measure(sample(raw)), Ok(2500), "after {raw}");
        }
    }

    #[test]
    fn a_step_is_followed_by_quarters() {
        let mut sensor = Sensor::new(CALIBRATION);
        sensor.measure(sample(1000)).unwrap();
        sensor.measure(sample(1400)).unwrap();
        // The median follows at the second high value.
        assert_eq!(sensor.measure(sample(1400)), Ok(CALIBRATION.apply(1100)));
        assert_eq!(sensor.measure(sample(1400)), Ok(CALIBRATION.apply(1175)));
    }

    #[test]
    fn out_of_range_is_a_fault_and_leaves_the_filter_alone() {
        let mut sensor = Sensor::new(CALIBRATION);
        sensor.measure(sample(2000)).unwrap();
        assert_eq!(sensor.measure(sample(4095)), Err(Fault::OpenCircuit(4095)));
        assert_eq!(sensor.measure(sample(99)), Err(Fault::ShortCircuit(99)));
        assert_eq!(sensor.measure(sample(2000)), Ok(2500));
        assert_eq!(sensor.measure(sample(100)).map(drop), Ok(()));
        assert_eq!(sensor.measure(sample(3995)).map(drop), Ok(()));
    }

    #[test]
    fn a_fault_says_what_to_do() {
        use std::string::ToString;
        assert_eq!(Fault::OpenCircuit(4095).to_string(), "open circuit: raw 4095, check the connector");
        assert_eq!(Fault::ShortCircuit(3).to_string(), "short circuit: raw 3, check the wiring");
    }
}
