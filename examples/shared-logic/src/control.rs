//! The control loop: measures, decides, moves the valve, and waits for the converter in between.

use throughline::{
    Instrument, StaticStr, counter, counter_family, gauge, info, instrument, record, span, warn,
};

use crate::sensor::Calibration;
use crate::{Channel, Fault, Samples, Sensor};

/// A thermostat, which controls the temperature with a valve of 0 to 100 %.
#[derive(Clone, Debug)]
pub struct Controller {
    sensor: Sensor,
    /// In hundredths of a degree Celsius.
    setpoint: i32,
    /// Valve position in per cent.
    valve: i32,
}

/// The result of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Rounds that measured and acted.
    pub good: u32,
    /// Rounds with a fault, which did not move the valve.
    pub faults: u32,
    /// Position of the valve in per cent.
    pub valve: i32,
    /// The last temperature measured, in hundredths of a degree Celsius.
    pub temperature: i32,
}

impl Controller {
    /// How far the valve moves in one step, in per cent.
    const STEP: i32 = 8;
    /// Most steps in one round.
    const MOST_STEPS: u32 = 3;
    /// The sensor's two known points.
    pub const CALIBRATION: Calibration = Calibration { low: (1000, 1000), high: (3000, 4000) };

    /// A controller with this set point, in hundredths of a degree Celsius, and with the valve half open.
    pub const fn new(setpoint: i32) -> Controller {
        Controller { sensor: Sensor::new(Self::CALIBRATION), setpoint, valve: 50 }
    }

    /// Runs this many rounds. A fault ends its round but not the run.
    pub async fn run(&mut self, samples: &mut Samples<'_>, rounds: u32) -> Summary {
        let mut summary = Summary::default();
        for number in 0..rounds {
            match self.round(samples, number).await {
                Ok(temperature) => summary = Summary { good: summary.good + 1, temperature, ..summary },
                Err(_) => summary.faults += 1,
            }
        }
        Summary { valve: self.valve, ..summary }
    }

    /// One round: measure, decide, act.
    #[instrument(name = "control.round", skip(self, samples), err)]
    async fn round(&mut self, samples: &mut Samples<'_>, number: u32) -> Result<i32, Fault> {
        counter!("control.rounds", unit = "{round}").add(1);
        let sample = samples.read(Channel::Temperature).await;
        let measured = self.sensor.measure(sample).inspect_err(|_| {
            warn!("round {number} leaves the valve at {valve} %", number, valve = self.valve);
        })?;

        let target = self.target(measured);
        record!(current, target);
        let moving = span!(kind: Client, "valve.move", from = self.valve, target);
        let steps = self.move_valve(samples, target).instrument(moving).await;
        info!("round {number}: valve at {valve} % after {steps} steps", number, valve = self.valve, steps);
        Ok(measured)
    }

    /// The target position of the valve: one per cent more for each tenth of a degree below the set point.
    fn target(&self, measured: i32) -> i32 {
        let _span = span!("control.decide", measured, setpoint = self.setpoint);
        (50 + (self.setpoint - measured) / 10).clamp(0, 100)
    }

    /// Moves the valve step by step, and waits for its feedback after each step. Returns the number of steps.
    async fn move_valve(&mut self, samples: &mut Samples<'_>, target: i32) -> u32 {
        let mut steps = 0;
        while steps < Self::MOST_STEPS && self.valve != target {
            let step = (target - self.valve).clamp(-Self::STEP, Self::STEP);
            self.valve += step;
            steps += 1;
            let direction = if step > 0 { "open" } else { "close" };
            counter_family!("valve.steps", labels = ["direction"], capacity = 2, unit = "{step}")
                .add([direction], 1);
            let feedback = samples.read(Channel::Valve).await;
            info!(
                "valve {direction}s to {valve} %",
                direction = StaticStr(direction),
                valve = self.valve,
                feedback = feedback.raw
            );
        }
        gauge!("valve.position", unit = "%").set(self.valve as isize);
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Adc, Plant, executor};

    fn run(seed: u32, rounds: u32) -> Summary {
        let mut adc = Adc::new();
        let (mut isr, mut samples) = adc.split();
        let mut plant = Plant::new(seed);
        executor::run(Controller::new(2150).run(&mut samples, rounds), || {
            let channel = isr.requested().expect("whoever waits has asked");
            isr.on_sample_ready(plant.convert(channel));
        })
    }

    #[test]
    fn a_run_depends_on_its_inputs_alone() {
        assert_eq!(run(7, 40), run(7, 40));
        assert_ne!(run(7, 40), run(8, 40));
    }

    #[test]
    fn every_fourth_round_meets_the_loose_wire() {
        let summary = run(7, 40);
        assert_eq!((summary.good, summary.faults), (30, 10));
    }

    #[test]
    fn a_warming_room_closes_the_valve() {
        let (early, late) = (run(7, 5), run(7, 30));
        assert!(late.temperature > early.temperature && late.valve < early.valve, "{early:?} {late:?}");
    }

    #[test]
    fn the_valve_stays_within_its_range_and_its_step() {
        let controller = Controller::new(2150);
        assert_eq!(controller.target(-10_000), 100);
        assert_eq!(controller.target(10_000), 0);
        assert_eq!(controller.target(2150), 50);
    }
}
