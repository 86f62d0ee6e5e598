//! An embassy program: its executor, its clock, and `flush_task` as one task among others.

#![no_std]
#![no_main]

use core::cell::RefCell;
use core::convert::Infallible;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use core::task::Waker;

use cortex_m::{Peripherals, singleton};
use cortex_m_rt::{entry, exception};
use critical_section::Mutex;
use embassy_executor::{Executor, task};
use embassy_time::{Duration, Timer};
use embassy_time_driver::{Driver, TICK_HZ};
use embassy_time_queue_utils::Queue;
use embedded_io::Write as _;
use firmware_example::{CLOCK, NAME, Uart, finish, init, report, start_timer};
use throughline::{Clock, Instrument, Recorder, Slots, counter, info, span};
use throughline_embedded::{Config, DeviceId, Flusher, flush_task};

const ROUNDS: u32 = 12;
/// Time between two flushes, and between two snapshots of the metrics.
const FLUSH: Duration = Duration::from_millis(5);
const METRICS: Duration = Duration::from_millis(40);

static SLOTS: Slots<64> = Slots::new();
static RECORDER: Recorder = Recorder::new(&SLOTS, Clock::embassy());

#[entry]
fn main() -> ! {
    init();
    // The board's timer interrupts once per tick of embassy-time.
    let mut core = Peripherals::take().expect("main runs once");
    start_timer(&mut core.SYST, (CLOCK.hz() / TICK_HZ) as u32);
    let config = Config {
        name: "embassy",
        device_id: DeviceId::from_bytes(NAME.as_bytes()),
        boot_epoch: 1,
        ..Config::DEFAULT
    };
    let flusher = throughline_embedded::init(&RECORDER, config);
    let executor = singleton!(: Executor = Executor::new()).expect("main runs once");
    executor.run(|spawner| {
        spawner.spawn(telemetry(flusher).expect("it is spawned once"));
        spawner.spawn(work().expect("it is spawned once"));
    })
}

#[task]
async fn telemetry(flusher: Flusher) {
    flush_task(flusher, AsyncUart, 256, FLUSH, Some(METRICS)).await
}

#[task]
async fn work() {
    for number in 0..ROUNDS {
        round(number).instrument(span!("round", number)).await;
        counter!("rounds").add(1);
    }
    report("emitted", 2 * ROUNDS);
    // Wait for the last flush and the last snapshot before the emulator ends.
    Timer::after(2 * METRICS).await;
    finish()
}

async fn round(number: u32) {
    info!("round {number} begins", number);
    Timer::after_millis(7).await;
}

/// The serial port. It yields to other tasks before each write, as a port with an interrupt does.
struct AsyncUart;

impl embedded_io_async::ErrorType for AsyncUart {
    type Error = Infallible;
}

impl embedded_io_async::Write for AsyncUart {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        embassy_futures::yield_now().await;
        Uart.write(bytes)
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The clock of embassy: ticks counted by an interrupt, and the tasks that wait for a tick.
struct Time {
    ticks: AtomicU32,
    queue: Mutex<RefCell<Queue>>,
}

embassy_time_driver::time_driver_impl!(static TIME: Time = Time {
    ticks: AtomicU32::new(0),
    queue: Mutex::new(RefCell::new(Queue::new())),
});

impl Driver for Time {
    fn now(&self) -> u64 {
        self.ticks.load(Relaxed).into()
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|cs| self.queue.borrow_ref_mut(cs).schedule_wake(at, waker));
    }
}

#[exception]
fn SysTick() {
    TIME.ticks.store(TIME.ticks.load(Relaxed) + 1, Relaxed);
    critical_section::with(|cs| TIME.queue.borrow_ref_mut(cs).next_expiration(TIME.now()));
}
