//! `cargo xtask demo`: the same logic in firmware and in a server, one trace from a request to an interrupt.

#[cfg(unix)]
mod device;
mod http;
#[cfg(unix)]
mod joined;
mod server;
#[cfg(target_os = "linux")]
mod story;

use std::time::Instant;

use anyhow::Result;
use lexopt::Arg::{Long, Short};
use lexopt::ValueExt as _;

use self::server::Server;
use crate::process::seconds;

const HELP: &str = "\
usage: cargo xtask demo [--server | --story | --repeat N]

Runs the thermostat of examples/shared-logic on a Cortex-M4F and a Cortex-M0 (in QEMU) and in a web service, draws what each
recorded, and compares: same spans, fields, events, parents and metrics, or it fails. Then one request goes through the
service and the microcontroller, and shows as one trace. Installs what it needs; needs no collector.

  --server    the service alone: no QEMU, no firmware
  --story     the agent of examples/slow-tool instead: a slow call of a tool, from its trace to the function, to the fix and to
              what has changed; flame graphs in target/story
  --repeat N  only the comparison of boards and service, N times: for a machine under load, where an order that depends on
              arrival would show
";

/// Number of requests that are sent to the service.
const REQUESTS: u32 = 200;

/// Runs `cargo xtask demo`.
///
/// # Errors
///
/// Fails if something cannot be built or run, or when two runs differ that should agree.
pub fn run(mut args: lexopt::Parser) -> Result<()> {
    let mut server_alone = false;
    let mut story = false;
    let mut repeat = None;
    while let Some(arg) = args.next()? {
        match arg {
            Long("server") => server_alone = true,
            Long("story") => story = true,
            Long("repeat") => repeat = Some(args.value()?.parse()?),
            Short('h') | Long("help") => {
                print!("{HELP}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let start = Instant::now();
    match repeat {
        _ if story => told()?,
        _ if server_alone => server_half()?,
        Some(times) => repeated(times)?,
        None => both()?,
    }
    println!("\nthe demo took {}", seconds(start.elapsed()));
    Ok(())
}

/// The story, which a step of the suite runs too.
///
/// # Errors
///
/// Fails if a step does not show what it should.
#[cfg(target_os = "linux")]
pub(crate) fn told() -> Result<()> {
    story::run()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn told() -> Result<()> {
    anyhow::bail!("processes are profiled on Linux: run the story there")
}

fn server_half() -> Result<()> {
    let mut steps = Steps::new(3);
    steps.next("building the service");
    let server = Server::build()?;
    steps.next("the thermostat in the service");
    print!("{}", server.deterministic()?);
    steps.next(&format!("{REQUESTS} requests over loopback"));
    print!("{}", server.drive(REQUESTS)?);
    Ok(())
}

#[cfg(not(unix))]
const NEEDS_UNIX: &str =
    "QEMU is driven over Unix sockets here: run the demo on Linux or macOS, or `cargo xtask demo --server`";

#[cfg(not(unix))]
fn both() -> Result<()> {
    anyhow::bail!(NEEDS_UNIX)
}

#[cfg(not(unix))]
fn repeated(_times: u32) -> Result<()> {
    anyhow::bail!(NEEDS_UNIX)
}

/// Compares the boards with the service repeatedly, and fails at the first difference.
#[cfg(unix)]
fn repeated(times: u32) -> Result<()> {
    use crate::firmware::{Firmware, Tool, Variant, ensure_tools};
    use crate::qemu::Machine;
    use crate::tree_text::TreeText;

    ensure_tools(&Machine::ALL)?;
    let boards = [
        ("Cortex-M4F", Firmware::build(Machine::Mps2An386, Variant::Serial)?),
        ("Cortex-M0", Firmware::build(Machine::Microbit, Variant::Serial)?),
    ];
    let (tool, server) = (Tool::build()?, Server::build()?);
    for run in 1..=times {
        let of_server = TreeText::parse(&server.deterministic()?);
        for (name, firmware) in &boards {
            let drawn = device::run_live(firmware, &tool, device::Show::Nothing)?.drawn;
            let diff = TreeText::parse(&drawn).diff(&of_server);
            anyhow::ensure!(
                diff.is_empty(),
                "run {run} of {times}: {name} (-) and service (+) differ:\n{diff}\nthe {name} drew:\n{drawn}"
            );
        }
        if run % 10 == 0 || run == times {
            println!("{run} of {times} runs agree");
        }
    }
    Ok(())
}

#[cfg(unix)]
fn both() -> Result<()> {
    use crate::firmware::{Firmware, Tool, Variant, ensure_tools};
    use crate::qemu::Machine;
    use crate::tree_text::TreeText;

    let mut steps = Steps::new(7);
    steps.next("building firmware for two boards, the host tool and the service");
    ensure_tools(&Machine::ALL)?;
    let m4 = Firmware::build(Machine::Mps2An386, Variant::Serial)?;
    let m0 = Firmware::build(Machine::Microbit, Variant::Serial)?;
    let tool = Tool::build()?;
    let server = Server::build()?;

    steps.next("the thermostat on a Cortex-M4F, decoded live from its serial port");
    let on_m4 = device::run_live(&m4, &tool, device::Show::All)?;

    steps.next("the same on a Cortex-M0 with 16 KiB of RAM");
    let on_m0 = device::run_live(&m0, &tool, device::Show::Ends)?;

    steps.next("the same logic in the service");
    let on_server = server.deterministic()?;
    print!("{on_server}");

    steps.next("what differs, but for times");
    let of_server = TreeText::parse(&on_server);
    let mut differs = false;
    for (name, run) in [("Cortex-M4F", &on_m4), ("Cortex-M0", &on_m0)] {
        let device = TreeText::parse(&run.drawn);
        anyhow::ensure!(
            !device.traces.is_empty() && !device.metrics.is_empty(),
            "the {name} drew nothing to compare"
        );
        let diff = device.diff(&of_server);
        let (lines, metrics) = (device.traces.len(), device.metrics.len());
        if diff.is_empty() {
            println!(
                "{name} and service: nothing, in {lines} lines of traces and {metrics} series of metrics"
            );
        } else {
            differs = true;
            println!("{name} (-) and service (+):\n{diff}");
        }
    }
    println!();
    for (name, run) in [("Cortex-M4F", &on_m4), ("Cortex-M0", &on_m0)] {
        println!("{name}: {}", run.account);
    }
    for (name, firmware) in [("Cortex-M4F", &m4), ("Cortex-M0", &m0)] {
        println!("{name}: {}", device::wire_bytes(firmware)?);
    }

    steps.next(&format!("the service under load: {REQUESTS} requests over loopback"));
    print!("{}", server.drive(REQUESTS)?);

    steps.next("one request through service and microcontroller, as one trace");
    print!("{}", joined::run(&server, &m4, &tool)?);

    anyhow::ensure!(!differs, "the runs differ: see step 5");
    Ok(())
}

/// Prints how far the demo is.
struct Steps {
    at: u32,
    of: u32,
}

impl Steps {
    fn new(of: u32) -> Self {
        Self { at: 0, of }
    }

    fn next(&mut self, what: &str) {
        self.at += 1;
        println!("\n[{}/{}] {what}", self.at, self.of);
    }
}
