//! The common parts of the example firmware: two boards, two links, the timer interrupt, and the end of a
//! run.
//!
//! ```text
//! cargo build --release --target thumbv7em-none-eabihf                 # Arm MPS2 AN386, Cortex-M4F, serial port
//! cargo build --release --target thumbv7em-none-eabihf --features rtt  # the same over RTT
//! cargo build --release --target thumbv6m-none-eabi                    # BBC micro:bit, Cortex-M0, 16 KiB of RAM
//! ```
//!
//! | binary | what it shows |
//! |---|---|
//! | `demo` | the thermostat of `examples/shared-logic`, whose converter is a timer interrupt |
//! | `remote` | the same below a span of a server, whose `traceparent` comes over the serial port |
//! | `report` | a report to a server, below whose span the server goes on: its context goes over the serial port in binary form |
//! | `overflow` | a ring that overflows, with every loss counted |
//! | `fields` | every type and width of field |
//! | `panic` | a panic in an interrupt, whose message arrives although the ring is full |
//! | `systick` | a clock that counts down and has few bits |
//! | `embassy` | an embassy program: `flush_task` on its executor, embassy-time as the clock |
//! | `isr_storm` | interrupts that stop writers in the middle of a record, again and again |
//! | `samples` | a profile: a timer's interrupt samples the program counter |
//! | `wire` | bytes on the wire for one span and one event |

#![no_std]

mod board;
mod finish;
mod interrupt;
mod link;
pub mod thermostat;

pub use board::{CLOCK, NAME, Uart, init};
pub use finish::{finish, report, report_bytes};
pub use interrupt::{start_timer, stop_timer};
pub use link::Link;
