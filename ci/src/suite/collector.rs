//! The step `collector`: a Collector and captures of real firmware, and the tests that send the captures to
//! the Collector.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::steps::workspace_tests;
use crate::collector::Collector;
use crate::firmware::{Firmware, Variant, ensure_tools};
use crate::process::run_all;
use crate::qemu::Machine;
use crate::scratch::Scratch;

/// Holds the Collector's OTLP/HTTP endpoint, `http://127.0.0.1:PORT`.
const COLLECTOR_HTTP: &str = "THROUGHLINE_COLLECTOR_HTTP";

/// Holds the path of the Collector's program, for tests that start one of their own.
const COLLECTOR_PROGRAM: &str = "THROUGHLINE_COLLECTOR_PROGRAM";

/// Holds the path of the file that the Collector writes: lines of OTLP JSON.
const COLLECTOR_FILE: &str = "THROUGHLINE_COLLECTOR_FILE";

/// Holds the path of the folder that [`captures`] fills.
const DEVICE_CAPTURES: &str = "THROUGHLINE_DEVICE_CAPTURES";

/// A caller's `traceparent`, which the microcontroller continues.
const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Runs the step.
///
/// # Errors
///
/// Fails if the Collector or the firmware is not available, or a test fails.
pub(super) fn run() -> Result<()> {
    let collector = Collector::build()?;
    let folder = Scratch::new("captures")?;
    captures(folder.path())?;
    let running = collector.start()?;
    let args = ["--test", "collector", "--", "--include-ignored"];
    let profiles = ["--test", "profiling", "--", "--include-ignored", "a_real_collector"];
    let commands = [workspace_tests(&args), workspace_tests(&profiles)].map(|cmd| {
        cmd.env(COLLECTOR_HTTP, &running.http_endpoint)
            .env(COLLECTOR_PROGRAM, collector.program())
            .env(COLLECTOR_FILE, &running.output)
            .env(DEVICE_CAPTURES, folder.path())
    });
    run_all(&commands)
}

/// Boots the thermostat on both boards, and once more below [`CALLER`]. Each run leaves its program as
/// `NAME.elf` and the bytes it sent as `NAME.bin`. The last run also leaves its caller's `traceparent` as
/// `remote.caller`, and its own as `remote.traceparent`.
fn captures(folder: &Path) -> Result<()> {
    ensure_tools(&Machine::ALL)?;
    for (machine, name) in [(Machine::Mps2An386, "cortex-m4f"), (Machine::Microbit, "cortex-m0")] {
        let firmware = Firmware::build(machine, Variant::Serial)?;
        let capture = firmware.run("demo", b"", |_| Ok(()))?;
        keep(folder, name, &capture.elf, &capture.bytes)?;
        if machine == Machine::Mps2An386 {
            let capture = firmware.run("remote", format!("{CALLER}\n").as_bytes(), |_| Ok(()))?;
            keep(folder, "remote", &capture.elf, &capture.bytes)?;
            fs::write(folder.join("remote.caller"), CALLER)?;
            fs::write(folder.join("remote.traceparent"), capture.said("traceparent")?.join(" "))?;
        }
    }
    Ok(())
}

fn keep(folder: &Path, name: &str, elf: &Path, bytes: &[u8]) -> Result<()> {
    fs::copy(elf, folder.join(name).with_extension("elf"))?;
    Ok(fs::write(folder.join(name).with_extension("bin"), bytes)?)
}
