//! Profiles of microcontrollers, from samples that a device has sent.

use crate::profile::{Kind, Losses, Profile, Sampling};
use crate::stack::{End, Frame, Labels, Module, Sample, Stack};
use crate::symbols::Symbols;
use object::{Architecture, Object, ObjectSection, SectionKind};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use throughline::{SpanId, TraceId};

/// Where a timer of a device interrupted the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceSample {
    /// The program counter.
    pub pc: u32,
    /// The link register.
    pub lr: u32,
    /// The span that was current.
    pub place: Option<(TraceId, SpanId)>,
    /// Processor time that the sample stands for: the time between two samples, in nanoseconds.
    pub time_ns: u64,
}

/// What is known of a device's samples together.
#[derive(Clone, Copy, Debug)]
pub struct DeviceRun {
    /// When the first sample was taken.
    pub started: SystemTime,
    /// From then to the last sample.
    pub duration: Duration,
    /// Samples that were taken and are not here, because the device's ring was full or the link lost them.
    pub lost: u64,
}

impl Profile {
    /// The profile of a program on a microcontroller. `elf` is the file that runs there, with debug information.
    ///
    /// A sample shows the function that was interrupted, those that it was inlined into, and its caller if the link
    /// register holds it: if it points behind a call, in another function. What lies above is not known, and is marked
    /// `[cut: no caller found]`.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is not an ELF.
    pub fn of_device(
        elf: &Path,
        run: &DeviceRun,
        samples: impl IntoIterator<Item = DeviceSample>,
    ) -> std::io::Result<Profile> {
        let code = Code::read(elf)?;
        let modules = [Arc::new(code.module.clone())];
        let mut symbols = Symbols::new(&modules);
        let mut stacks = HashMap::<Arc<Stack>, u32>::new();
        let mut lines = HashMap::<(u32, Labels), [u64; 2]>::new();
        let mut delivered = 0;
        for sample in samples {
            let frame = |address: u32| Frame { module: Some(0), address: address.into() };
            // Bit 0 of an address of Arm code says which of two instruction sets it is in.
            let pc = frame(if code.is_arm { sample.pc & !1 } else { sample.pc });
            let caller = code.call_before(sample.lr).map(frame);
            let mut outermost = |frame| symbols.look_up(frame).last().map(|function| function.name.clone());
            let caller = caller.filter(|&caller| outermost(caller) != outermost(pc));
            let stack = Stack { frames: [pc].into_iter().chain(caller).collect(), end: End::Failed };
            let next = stacks.len() as u32;
            let stack = *stacks.entry(Arc::new(stack)).or_insert(next);
            let labels = Labels { place: sample.place, ..Labels::default() };
            let [count, time] = lines.entry((stack, labels)).or_default();
            *count += 1;
            *time += sample.time_ns;
            delivered += 1;
        }
        let mut stacks: Vec<_> = stacks.into_iter().collect();
        stacks.sort_unstable_by_key(|(_, index)| *index);
        let values = |[count, time]: [u64; 2]| [count, time, 0, 0];
        let samples = lines.into_iter();
        let mut samples: Vec<_> = samples
            .map(|((stack, labels), counts)| Sample { stack, labels, values: values(counts) })
            .collect();
        samples.sort_unstable_by_key(|sample| (std::cmp::Reverse(sample.values[1]), sample.stack));
        let time: u64 = samples.iter().map(|sample| sample.values[1]).sum();
        let frequency = (delivered as f64 / (time as f64 / 1e9).max(1e-9)).round() as u32;
        Ok(Profile {
            kind: Kind::Cpu(Sampling { frequency, signals: delivered + run.lost, untimed_threads: 0 }),
            started: run.started,
            duration: run.duration,
            delivered,
            stacks: stacks.into_iter().map(|(stack, _)| stack).collect(),
            samples,
            modules: modules.into(),
            losses: Losses { ring_full: run.lost, ..Losses::default() },
            ..Profile::default()
        })
    }
}

/// The code of a program.
struct Code {
    module: Module,
    is_arm: bool,
    sections: Vec<(u64, Vec<u8>)>,
}

impl Code {
    fn read(path: &Path) -> std::io::Result<Code> {
        let data = std::fs::read(path)?;
        let file = object::File::parse(&*data).map_err(std::io::Error::other)?;
        let sections = file.sections().filter(|section| section.kind() == SectionKind::Text);
        let sections: Vec<_> =
            sections.filter_map(|it| Some((it.address(), it.data().ok()?.to_vec()))).collect();
        let end = |(address, data): &(u64, Vec<u8>)| address + data.len() as u64;
        let start = sections.iter().map(|(address, _)| *address).min().unwrap_or(0);
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let module = Module {
            path: path.to_string_lossy().into_owned(),
            name: name.unwrap_or_default(),
            code: start..sections.iter().map(end).max().unwrap_or(0),
            bias: 0,
            build_id: file.build_id().ok().flatten().unwrap_or_default().to_vec(),
        };
        Ok(Code { module, is_arm: file.architecture() == Architecture::Arm, sections })
    }

    /// An address within the call that returns to `lr`; `None` if there is no call before it.
    fn call_before(&self, lr: u32) -> Option<u32> {
        let returns_to = if self.is_arm { lr & !1 } else { lr };
        let half = |before: u32| self.half(returns_to.checked_sub(before)?);
        let is_short = half(2).is_some_and(|it| {
            if self.is_arm { it & 0xff87 == 0x4780 } else { it & 0xe003 == 0x2001 || it & 0xf07f == 0x9002 }
        });
        let is_long = half(4).zip(half(2)).is_some_and(|(first, second)| {
            // `BL` of Thumb; `JAL` and `JALR` of RISC-V with the return address in `ra`.
            if self.is_arm {
                first & 0xf800 == 0xf000 && second & 0xd000 == 0xd000
            } else {
                matches!(first & 0xfff, 0x0ef | 0x0e7)
            }
        });
        (is_short || is_long).then(|| returns_to - 1)
    }

    /// The 16 bits at an address.
    fn half(&self, address: u32) -> Option<u16> {
        self.sections.iter().find_map(|(start, data)| {
            let at = usize::try_from(u64::from(address).checked_sub(*start)?).ok()?;
            Some(u16::from_le_bytes(*data.get(at..)?.first_chunk()?))
        })
    }
}
