//! Flash and RAM, as the difference between firmware with and without a feature.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use object::elf::SHF_ALLOC;
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags};
use throughline_benches::{Row, Unit};

use super::Firmware;

/// How many more call sites `callsites_many` has than `callsites_one`.
const MORE_CALLSITES: f64 = 100.0;
/// Statics that are the cells of metrics.
const CELLS: &str = "CELL";
/// Statics of the ring, the metrics' cells and RTT, which are not counted as RAM besides the ring.
const NOT_OURS: [&str; 4] = ["SLOTS", CELLS, "__throughline_rtt", "_RTT_CHANNEL_BUFFER"];

/// Flash of everything, flash per call site, RAM besides the ring, and RAM of the metrics (a counter and a
/// histogram of scale 2).
pub(super) fn rows(firmware: &Firmware) -> Result<Vec<Row>> {
    let size = |name| Size::of(&firmware.binary(name));
    let (none, core) = (size("size_none")?, size("size_core")?);
    let (one, many) = (size("callsites_one")?, size("callsites_many")?);
    let flash = core.flash as f64 - none.flash as f64;
    let callsite = (many.flash as f64 - one.flash as f64) / MORE_CALLSITES;
    let ram = (core.ram - core.not_ours) as f64 - (none.ram - none.not_ours) as f64;
    Ok(vec![
        firmware.ours("core_flash", Unit::Bytes, flash),
        firmware.ours("callsite_flash", Unit::Bytes, callsite),
        firmware.ours("core_ram", Unit::Bytes, ram),
        firmware.ours("metrics_ram", Unit::Bytes, core.cells as f64),
    ])
}

struct Size {
    flash: u64,
    ram: u64,
    not_ours: u64,
    cells: u64,
}

impl Size {
    fn of(elf: &Path) -> Result<Size> {
        let data = fs::read(elf).with_context(|| format!("can't read {}", elf.display()))?;
        let file = object::File::parse(&*data).with_context(|| format!("{} is not ELF", elf.display()))?;
        let (mut flash, mut ram) = (0, 0);
        for section in file.sections() {
            let SectionFlags::Elf { sh_flags, .. } = section.flags() else { continue };
            if sh_flags.0 & SHF_ALLOC.0 == 0 {
                continue;
            }
            let in_ram = section.address() >= RAM;
            if in_ram {
                ram += section.size();
            }
            if !in_ram || section.file_range().is_some() {
                flash += section.size();
            }
        }
        let in_ram = |names: &[&str]| -> u64 {
            file.symbols()
                .filter(|symbol| symbol.address() >= RAM)
                .filter(|symbol| symbol.name().is_ok_and(|name| names.iter().any(|it| name.contains(it))))
                .map(|symbol| symbol.size())
                .sum()
        };
        let (not_ours, cells) = (in_ram(&NOT_OURS), in_ram(&[CELLS]));
        Ok(Size { flash, ram, not_ours, cells })
    }
}

/// Start of RAM on both boards.
const RAM: u64 = 0x2000_0000;
