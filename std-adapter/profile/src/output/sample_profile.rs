//! A profile for the compiler: the text form of LLVM's sample profiles,
//! <https://clang.llvm.org/docs/UsersManual.html#sample-profile-text-format>.

use super::Report;
use crate::symbols::Function;
use gimli::{AttributeValue, Dwarf, EndianSlice, RunTimeEndian, Unit};
use object::{Object, ObjectSection};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::io;
use std::path::Path;

/// Samples of a function, or of its copy that was inlined at one place.
#[derive(Default)]
struct Body<'a> {
    /// By line, counted from the function's first.
    lines: BTreeMap<u16, u64>,
    /// By the line of the call and the callee's name.
    inlined: BTreeMap<(u16, &'a str), Body<'a>>,
}

impl<'a> Body<'a> {
    fn total(&self) -> u64 {
        self.lines.values().sum::<u64>() + self.inlined.values().map(Body::total).sum::<u64>()
    }

    fn write(&self, name: &str, at: Option<u16>, depth: usize, out: &mut String) {
        let (indent, total) = (" ".repeat(depth), self.total());
        // Samples do not tell how often a function was called.
        let _ = match at {
            Some(line) => writeln!(out, "{indent}{line}: {name}:{total}"),
            None => writeln!(out, "{name}:{total}:0"),
        };
        for (line, count) in &self.lines {
            let _ = writeln!(out, "{indent} {line}: {count}");
        }
        for ((line, callee), body) in &self.inlined {
            body.write(callee, Some(*line), depth + 1, out);
        }
    }

    /// Adds samples. `stack` has the functions of one address, the outermost first.
    fn add(&mut self, stack: &[(&'a str, u16)], samples: u64) {
        match stack {
            [] => {}
            [(_, line)] => *self.lines.entry(*line).or_default() += samples,
            [(_, line), rest @ ..] => {
                self.inlined.entry((*line, rest[0].0)).or_default().add(rest, samples);
            }
        }
    }
}

impl Report {
    /// Where the program computed, as `-Zprofile-sample-use` of a nightly rustc takes it (`-fprofile-sample-use` of
    /// clang): for each function, how many samples there were at each of its lines, counted from its first, also where it was inlined. The
    /// lines on which functions begin come from the debug information of `executable`, the file that was profiled.
    ///
    /// A sample is a moment of CPU time, not an execution: a slow line counts for more than a quick one. How often functions
    /// were called is not known.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or has no debug information.
    pub fn sample_profile(&self, executable: &Path) -> io::Result<String> {
        let data = std::fs::read(executable)?;
        let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
        let first_lines = first_lines(&data).map_err(|error| {
            invalid(format!("{error}; pass the executable that was profiled, built with debug information"))
        })?;
        if first_lines.is_empty() {
            return Err(invalid("it has no debug information; build with `-Cdebuginfo=1`".into()));
        }
        let mut bodies = BTreeMap::<&str, Body<'_>>::new();
        for sample in &self.profile.samples {
            let innermost = self.stacks[sample.stack as usize].first();
            let functions = innermost.into_iter().flat_map(|it| it.functions.iter().rev());
            let place = |function| place(function, &first_lines);
            // A function of another file, such as a library, ends what can be told.
            let stack: Option<Vec<_>> = functions.map(place).collect();
            if let Some((stack, (name, _))) =
                stack.and_then(|stack| stack.first().copied().map(|it| (stack, it)))
            {
                bodies.entry(name).or_default().add(&stack, sample.values[0]);
            }
        }
        let mut bodies: Vec<_> = bodies.into_iter().collect();
        bodies.sort_by_key(|(_, body)| std::cmp::Reverse(body.total()));
        let mut text = String::new();
        bodies.iter().for_each(|(name, body)| body.write(name, None, 0, &mut text));
        Ok(text)
    }
}

/// The name of a function in its file, and its line counted from the function's first. LLVM keeps 16 bits of that.
fn place<'a>(function: &'a Function, first_lines: &HashMap<String, u32>) -> Option<(&'a str, u16)> {
    let name = function.system_name.as_deref()?;
    let first = first_lines.get(name)?;
    (function.line > 0).then(|| (name, function.line.wrapping_sub(*first) as u16))
}

/// The line on which each function of an executable begins, by its name for the linker.
fn first_lines(data: &[u8]) -> Result<HashMap<String, u32>, Box<dyn std::error::Error>> {
    let file = object::File::parse(data)?;
    let endian = if file.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big };
    let sections = gimli::DwarfSections::load(|id| {
        let section = file.section_by_name(id.name());
        section.map_or(Ok(Cow::Borrowed(&[][..])), |section| section.uncompressed_data())
    })?;
    let dwarf = sections.borrow(|section| EndianSlice::new(section, endian));
    let mut lines = HashMap::new();
    let mut units = dwarf.units();
    while let Some(header) = units.next()? {
        read_unit(&dwarf, &dwarf.unit(header)?, &mut lines)?;
    }
    Ok(lines)
}

fn read_unit<'a>(
    dwarf: &Dwarf<EndianSlice<'a, RunTimeEndian>>,
    unit: &Unit<EndianSlice<'a, RunTimeEndian>>,
    lines: &mut HashMap<String, u32>,
) -> Result<(), gimli::Error> {
    let mut entries = unit.entries();
    while let Some(entry) = entries.next_dfs()? {
        if entry.tag() != gimli::DW_TAG_subprogram {
            continue;
        }
        // A function whose name is not mangled has it only once.
        let name =
            entry.attr_value(gimli::DW_AT_linkage_name).or_else(|| entry.attr_value(gimli::DW_AT_name));
        let line = entry.attr_value(gimli::DW_AT_decl_line).and_then(|it| it.udata_value());
        if let (Some(name), Some(line)) = (name, line) {
            let name = attribute_text(dwarf, unit, name)?;
            lines.insert(name, line as u32);
        }
    }
    Ok(())
}

fn attribute_text<'a>(
    dwarf: &Dwarf<EndianSlice<'a, RunTimeEndian>>,
    unit: &Unit<EndianSlice<'a, RunTimeEndian>>,
    value: AttributeValue<EndianSlice<'a, RunTimeEndian>>,
) -> Result<String, gimli::Error> {
    Ok(dwarf.attr_string(unit, value)?.to_string_lossy().into_owned())
}
