//! The thermostat on a microcontroller: the timer interrupt is the converter's interrupt.

use core::cell::Cell;
use cortex_m::{Peripherals, asm, singleton};
use critical_section::Mutex;
use shared_logic::scenario::{ROUNDS, SEED, SETPOINT};
use shared_logic::{Adc, Controller, Plant, SampleIsr, executor};

use crate::{Link, start_timer, stop_timer};

/// Processor cycles between two checks of the converter for requests.
const TICK: u32 = 10_000;

/// The converter, for its interrupt.
pub struct Converter {
    isr: SampleIsr<'static>,
    plant: Plant,
}

/// Passes the converter from the program to the interrupt, once.
static CONVERTER: Mutex<Cell<Option<Converter>>> = Mutex::new(Cell::new(None));

/// Runs the same scenario as the server, and sends records whenever it waits. Call it once.
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

/// The timer interrupt. `converter` belongs to the handler; it is empty at first, and then takes the
/// converter over.
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
