//! Firmware tests: boots the example firmware in QEMU and checks its output.

mod cases;
mod rtt_sharing;
mod storm;

use std::time::Instant;

use anyhow::{Context, Result, bail};
use lexopt::Arg::{Long, Short};

use crate::firmware::{Firmware, Tool, Variant, ensure_tools};
use crate::process::seconds;
use crate::qemu::Machine;

const HELP: &str = "\
usage: cargo xtask qemu [--bless] [--only BINARY]

Boots the example firmware in QEMU, on a Cortex-M4F and a Cortex-M0, over the serial port and over RTT, and checks
what it sends: every record decoded or counted as lost, and the same traces and metrics as in
examples/firmware/tests/snapshots.

  --bless        write the snapshots anew (default: compare with them)
  --only BINARY  run this binary alone, on every board (default: all); `rtt-sharing`: defmt beside throughline
";

/// A run and its check, which returns a short summary.
struct Case {
    binary: &'static str,
    check: fn(&Firmware, &Tool, bool) -> Result<String>,
}

const THERMOSTAT: Case = Case { binary: "demo", check: cases::thermostat };
const OVERFLOW: Case = Case { binary: "overflow", check: cases::overflow };
const STORM: Case = Case { binary: "isr_storm", check: storm::check };
const REMOTE: Case = Case { binary: "remote", check: cases::remote };
const FIELDS: Case = Case { binary: "fields", check: cases::fields };
const METRICS: Case = Case { binary: "metrics", check: cases::metrics };
const PANIC: Case = Case { binary: "panic", check: cases::panic };
const SYSTICK: Case = Case { binary: "systick", check: cases::systick };
const WRONG_ELF: Case = Case { binary: "overflow", check: cases::wrong_elf };
const EMBASSY: Case = Case { binary: "embassy", check: cases::embassy };
const SAMPLES: Case = Case { binary: "samples", check: cases::samples };
const WIRE: Case = Case { binary: "wire", check: cases::wire };

/// Name of the run that uses another firmware.
const RTT_SHARING: &str = "rtt-sharing";

/// What is run on which board.
const RUNS: &[(Machine, Variant, &[Case])] = &[
    (
        Machine::Mps2An386,
        Variant::Serial,
        &[
            THERMOSTAT, OVERFLOW, STORM, REMOTE, WIRE, FIELDS, METRICS, PANIC, SYSTICK, SAMPLES, WRONG_ELF,
            EMBASSY,
        ],
    ),
    (Machine::Mps2An386, Variant::Rtt, &[THERMOSTAT, OVERFLOW, PANIC]),
    (Machine::Mps2An386, Variant::NoFragment, &[THERMOSTAT, FIELDS, WRONG_ELF]),
    (
        Machine::Microbit,
        Variant::Serial,
        &[
            THERMOSTAT, OVERFLOW, STORM, REMOTE, WIRE, FIELDS, METRICS, PANIC, SYSTICK, SAMPLES, WRONG_ELF,
            EMBASSY,
        ],
    ),
    (Machine::Microbit, Variant::Rtt, &[THERMOSTAT]),
    (Machine::Microbit, Variant::NoFragment, &[THERMOSTAT, WRONG_ELF]),
];

/// Runs `cargo xtask qemu`.
///
/// # Errors
///
/// Fails if something can't be built, or a check fails.
pub fn run(mut args: lexopt::Parser) -> Result<()> {
    let (mut bless, mut only) = (false, None);
    while let Some(arg) = args.next()? {
        match arg {
            Long("bless") => bless = true,
            Long("only") => only = Some(args.value()?),
            Short('h') | Long("help") => {
                print!("{HELP}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    ensure_tools(&Machine::ALL)?;
    let tool = Tool::build()?;
    let (mut ran, mut failed) = (0, 0);
    for (machine, variant, cases) in RUNS {
        let is_chosen = |case: &&Case| only.as_ref().is_none_or(|only| only == case.binary);
        let cases: Vec<&Case> = cases.iter().filter(is_chosen).collect();
        if cases.is_empty() {
            continue;
        }
        ran += cases.len();
        let firmware = Firmware::build(*machine, *variant)?;
        for case in cases {
            let name = format!("{} {} {}", machine.name(), variant.name(), case.binary);
            let start = Instant::now();
            let result = (case.check)(&firmware, &tool, bless).with_context(|| format!("{name} failed"));
            let time = seconds(start.elapsed());
            match result {
                Ok(found) => println!("{name:<34} ok in {time}: {found}"),
                Err(error) => {
                    failed += 1;
                    eprintln!("{name:<34} FAILED in {time}\nerror: {error:#}");
                }
            }
        }
    }
    if only.as_ref().is_none_or(|only| only == RTT_SHARING) {
        ran += 1;
        match rtt_sharing::defmt_shares_the_control_block_or_does_not_link_34(&tool) {
            Ok(found) => println!("{RTT_SHARING:<34} ok: {found}"),
            Err(error) => {
                failed += 1;
                eprintln!("{RTT_SHARING:<34} FAILED\nerror: {error:#}");
            }
        }
    }
    if ran == 0 {
        bail!("there is no such run; `cargo xtask qemu` runs all");
    }
    if failed > 0 {
        bail!("{failed} firmware runs failed");
    }
    Ok(())
}
