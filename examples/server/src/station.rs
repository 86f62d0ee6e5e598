//! The thermostat on a server: the converter's interrupt is a thread that ticks while a sample is requested.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use shared_logic::scenario::{SEED, SETPOINT};
use shared_logic::{Adc, Channel, Controller, Fault, Plant, Sample, SampleIsr, Samples, Sensor, Summary};
use tokio::sync::Mutex;

/// Time between two checks of the converter for requests, like the period of a timer interrupt.
const TICK: Duration = Duration::from_micros(200);

/// One converter, one sensor and one valve. Concurrent users take turns.
#[derive(Clone)]
pub(crate) struct Station {
    device: Arc<Mutex<Device>>,
    timer: Timer,
}

struct Device {
    samples: Samples<'static>,
    controller: Controller,
    sensor: Sensor,
}

impl Station {
    /// Starts the converter's thread.
    pub(crate) fn new() -> Station {
        // As in firmware, the queues live as long as the program.
        let adc: &'static mut Adc = Box::leak(Box::default());
        let (isr, samples) = adc.split();
        let device = Device {
            samples,
            controller: Controller::new(SETPOINT),
            sensor: Sensor::new(Controller::CALIBRATION),
        };
        Station { device: Arc::new(Mutex::new(device)), timer: Timer::start(isr, Plant::new(SEED)) }
    }

    /// Runs the control loop.
    pub(crate) async fn run(&self, rounds: u32) -> Summary {
        let mut device = self.device.lock().await;
        let _ticking = self.timer.enable();
        let Device { samples, controller, .. } = &mut *device;
        controller.run(samples, rounds).await
    }

    /// Takes one sample. Returns the converter's reading and its temperature in hundredths of a degree
    /// Celsius.
    pub(crate) async fn sample(&self) -> (Sample, Result<i32, Fault>) {
        let mut device = self.device.lock().await;
        let _ticking = self.timer.enable();
        let Device { samples, sensor, .. } = &mut *device;
        let sample = samples.read(Channel::Temperature).await;
        (sample, sensor.measure(sample))
    }
}

/// A timer that ticks while it is enabled.
#[derive(Clone)]
struct Timer {
    users: Arc<AtomicUsize>,
    thread: Thread,
}

impl Timer {
    fn start(mut isr: SampleIsr<'static>, mut plant: Plant) -> Timer {
        let users = Arc::new(AtomicUsize::new(0));
        let of_thread = Arc::clone(&users);
        let thread = thread::spawn(move || {
            loop {
                while of_thread.load(Ordering::Acquire) == 0 {
                    thread::park();
                }
                if let Some(channel) = isr.requested() {
                    isr.on_sample_ready(plant.convert(channel));
                }
                thread::sleep(TICK);
            }
        });
        Timer { users, thread: thread.thread().clone() }
    }

    /// Ticks until the guard is dropped.
    fn enable(&self) -> Ticking<'_> {
        self.users.fetch_add(1, Ordering::Release);
        self.thread.unpark();
        Ticking(self)
    }
}

struct Ticking<'a>(&'a Timer);

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.users.fetch_sub(1, Ordering::Release);
    }
}
