//! The thermostat on a microcontroller: the converter's interrupt is the timer's.

use core::cell::Cell;
use cortex_m::{Peripherals, asm, singleton};
use critical_section::Mutex;
use shared_logic::scenario::{ROUNDS, SEED, SETPOINT};
use shared_logic::{Adc, Controller, Plant, SampleIsr, executor};

use crate::{Link, start_timer, stop_timer};

/// Processor cycles between two looks of the converter at its requests.
const TICK: u32 = 10_000;

/// The converter as its interrupt sees it.
pub struct Converter {
    isr: SampleIsr<'static>,
    plant: Plant,
}

/// From the program to the interrupt, once.
static CONVERTER: Mutex<Cell<Option<Converter>>> = Mutex::new(Cell::new(None));

/// Runs the scenario that the server makes too, and sends what it recorded whenever it waits. Once.
pub fn run(link: &mut Link) {
    let adc = singleton!(: Adc = Adc::new()).expect("the thermostat runs once");
    let (isr, mut samples) = adc.split();
    critical_section::with(|cs| CONVERTER.borrow(cs).set(Some(Converter { isr, plant: Plant::new(SEED) })));
    let mut systick = Peripherals::take().expect("the thermostat runs once").SYST;
    start_timer(&mut systick, TICK);
    executor::run(Controller::new(SETPOINT).run(&mut samples, ROUNDS), || {
        asm::wfi();
        link.flush();
    });
    stop_timer(&mut systick);
}

/// The timer's interrupt. `converter` is the handler's own: empty at first, it takes the converter over.
pub fn on_timer(converter: &mut Option<Converter>) {
    if converter.is_none() {
        *converter = critical_section::with(|cs| CONVERTER.borrow(cs).take());
    }
    if let Some(Converter { isr, plant }) = converter
        && let Some(channel) = isr.requested()
    {
        isr.on_sample_ready(plant.convert(channel));
    }
}
