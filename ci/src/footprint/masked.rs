//! The longest run of instructions with interrupts masked, from a trace of every executed instruction.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSection};
use throughline_benches::{Row, Unit};

use super::Firmware;
use crate::process::Cmd;
use crate::scratch::Scratch;

/// Instructions that mask and unmask interrupts: `cpsid i`, `cpsie i`, and `msr primask, rN`, whose first
/// half-word contains the register.
const CPSID: u16 = 0xb672;
const CPSIE: u16 = 0xb662;
const MSR: u16 = 0xf380;
const PRIMASK: u16 = 0x8810;

/// The row of this board.
pub(super) fn row(firmware: &Firmware) -> Result<Row> {
    let elf = firmware.binary("masked");
    let scratch = Scratch::new("footprint")?;
    let log = scratch.path().join("trace");
    let cmd = Cmd::new("qemu-system-arm")
        .args(["-machine", firmware.machine.name(), "-nographic", "-monitor", "none", "-serial", "none"])
        .args(["-semihosting-config", "enable=on,target=native"])
        .args(["-singlestep", "-d", "exec,nochain", "-D"])
        .arg(&log)
        .arg("-kernel")
        .arg(&elf);
    cmd.output()?;
    let longest = longest(&marks(&elf)?, BufReader::new(File::open(&log)?))?;
    Ok(firmware.ours("irq_masked", Unit::Instructions, longest as f64))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Mask,
    Unmask,
}

/// The addresses at which the program masks and unmasks.
fn marks(elf: &Path) -> Result<HashMap<u64, Mark>> {
    let data = fs::read(elf).with_context(|| format!("can't read {}", elf.display()))?;
    let file = object::File::parse(&*data)?;
    let text = file.section_by_name(".text").context("the firmware has no section .text")?;
    let halves: Vec<u16> =
        text.data()?.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    let mut marks = HashMap::new();
    for (at, half) in halves.iter().enumerate() {
        let msr = half & 0xfff0 == MSR && halves.get(at + 1) == Some(&PRIMASK);
        let mark = match *half {
            CPSID => Mark::Mask,
            CPSIE => Mark::Unmask,
            _ if msr => Mark::Unmask,
            _ => continue,
        };
        marks.insert(text.address() + 2 * at as u64, mark);
    }
    Ok(marks)
}

/// The largest number of instructions after a masking one, up to and including the unmasking one.
fn longest(marks: &HashMap<u64, Mark>, log: impl BufRead) -> Result<usize> {
    let (mut longest, mut masked, mut traced) = (0, None, 0);
    for line in log.lines() {
        let line = line?;
        // `Trace 0: 0x7f… [00000000/000004a2/00000110/ff000000] symbol`
        let Some(pc) = line.strip_prefix("Trace").and_then(|it| it.split('/').nth(1)) else { continue };
        let pc = u64::from_str_radix(pc, 16).with_context(|| format!("no address in `{line}`"))?;
        traced += 1;
        masked = masked.map(|n| n + 1);
        match marks.get(&pc) {
            Some(Mark::Mask) if masked.is_none() => masked = Some(0),
            Some(Mark::Unmask) => longest = longest.max(masked.take().unwrap_or(0)),
            _ => {}
        }
    }
    if traced == 0 {
        bail!("QEMU traced no instruction: does it still have `-singlestep -d exec,nochain`?");
    }
    Ok(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_stretch_counts() {
        let marks = HashMap::from([(2, Mark::Mask), (8, Mark::Unmask)]);
        let trace = |pcs: &[u64]| -> String {
            pcs.iter().map(|pc| format!("Trace 0: 0x7f [00000000/{pc:08x}/0/0] it\n")).collect()
        };
        let of = |pcs: &[u64]| longest(&marks, trace(pcs).as_bytes()).unwrap();
        assert_eq!(of(&[0, 2, 4, 8, 10, 2, 4, 6, 8]), 3);
        assert_eq!(of(&[0, 4, 6]), 0);
        assert!(longest(&marks, &b""[..]).is_err());
    }
}
