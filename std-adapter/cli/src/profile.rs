//! `throughline profile`: what profiles that a service has written say about a trace, a span or a change.

use std::io::Write;
use std::path::{Path, PathBuf};

use throughline_export::text::Escaped;
use throughline_profile::{Report, WallProfile};

use crate::args::{ProfileArgs, ProfileFormat};
use crate::error::CliError;
use crate::{FINE, say, wall};

/// How the names of files in pprof's format end.
const ENDING: &str = ".pb.gz";

/// Runs the command and returns the exit code.
pub(crate) fn run(args: &ProfileArgs) -> Result<u8, CliError> {
    let (report, code) = wanted(args, &args.inputs, args.trace)?;
    let base = match &args.diff {
        Some(base) => Some(wanted(args, std::slice::from_ref(base), args.diff_trace)?.0),
        None => None,
    };
    let title = title(args);
    let output = match (args.format()?, &base) {
        (ProfileFormat::Folded, Some(base)) => report.folded_difference(base).into_bytes(),
        (_, Some(base)) => report.difference(base, &title).into_bytes(),
        (ProfileFormat::Text, None) => escaped_lines(&report.text()).into_bytes(),
        (ProfileFormat::Folded, None) => report.folded().into_bytes(),
        (ProfileFormat::Svg, None) => report.flame_graph(&title).into_bytes(),
        (ProfileFormat::Pprof, None) => report.pprof(),
        (ProfileFormat::Chrome, None) => report.chrome().into_bytes(),
        (ProfileFormat::Speedscope, None) => report.speedscope(&title).into_bytes(),
    };
    match &args.output {
        Some(path) => {
            std::fs::write(path, output).map_err(|source| CliError::Written { path: path.clone(), source })?
        }
        None => std::io::stdout().lock().write_all(&output)?,
    }
    Ok(code)
}

/// Names come from files, so they are escaped.
fn escaped_lines(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", Escaped(line))).collect()
}

fn title(args: &ProfileArgs) -> String {
    let mut title = match (args.trace, args.span) {
        (_, Some(span)) => format!("span {span}"),
        (Some(trace), None) => format!("trace {trace}"),
        (None, None) => names(&args.inputs),
    };
    if let Some(base) = &args.diff {
        title += &match args.diff_trace {
            Some(trace) => format!(", compared with trace {trace}"),
            None => format!(", compared with {}", base.display()),
        };
    }
    title
}

/// The samples of all files that are asked for, together, and the exit code.
fn wanted(
    args: &ProfileArgs,
    inputs: &[PathBuf],
    trace: Option<throughline::TraceId>,
) -> Result<(Report, u8), CliError> {
    let (mut report, files, code) = match args.wall {
        true => read_wall(inputs, args.elf.as_deref())?,
        false => read(inputs, args.memory).map(|all| (all.report, all.files, FINE))?,
    };
    if let Some(trace) = trace {
        report = report.of_trace(trace);
    }
    // Spans of another trace than the base's have other ids.
    if let Some(span) = args.span.filter(|_| trace == args.trace) {
        report = report.of_span(span);
    }
    if let Some((name, value)) = &args.label {
        report = report.of_label(name, value);
    }
    if let Some(name) = &args.measure {
        let known = report.measures();
        if !known.contains(&name.as_str()) {
            return Err(CliError::Measure { name: name.clone(), known: known.join(", ") });
        }
        report = report.measure(name);
    }
    match report.samples() {
        0 if args.wall => Err(CliError::NoSpans { inputs: names(inputs) }),
        0 => {
            let files = if files == 1 { "the profile".into() } else { format!("the {files} profiles") };
            Err(CliError::NoSamples { files, inputs: names(inputs) })
        }
        _ => Ok((report, code)),
    }
}

/// The spans of all files together, their number, and the exit code.
fn read_wall(inputs: &[PathBuf], elf: Option<&Path>) -> Result<(Report, usize, u8), CliError> {
    let (mut profile, mut code) = (WallProfile::default(), FINE);
    for input in inputs {
        code = code.max(wall::read(input, elf, &mut profile)?);
    }
    Ok((profile.report(), inputs.len(), code))
}

fn names(inputs: &[PathBuf]) -> String {
    inputs.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// Several files as one profile.
pub(crate) struct All {
    pub(crate) report: Report,
    /// How many there were.
    pub(crate) files: usize,
}

/// Reads files, and in folders those in pprof's format; of each kind, only CPU or only memory.
pub(crate) fn read(inputs: &[PathBuf], memory: bool) -> Result<All, CliError> {
    let (mut all, mut files) = (None::<Report>, 0);
    for input in inputs {
        let is_folder = input.is_dir();
        for path in if is_folder { in_folder(input)? } else { vec![input.clone()] } {
            match read_file(&path) {
                Ok(report) if report.is_cpu() == memory || report.is_wall() => {}
                Ok(report) => {
                    files += 1;
                    match &mut all {
                        // A profile of memory is of everything since the program's start.
                        Some(all) if memory => *all = report,
                        Some(all) => _ = all.add(report),
                        None => all = Some(report),
                    }
                }
                // A folder may have files of others.
                Err(error) if is_folder => say(&error),
                Err(error) => return Err(error),
            }
        }
    }
    let report = all.ok_or_else(|| CliError::NoProfiles {
        kind: if memory { "memory" } else { "CPU" },
        inputs: names(inputs),
    })?;
    Ok(All { report, files })
}

fn read_file(path: &Path) -> Result<Report, CliError> {
    let file = std::fs::read(path)
        .map_err(|source| CliError::ProfileFile { path: path.to_owned(), source: Box::new(source) })?;
    Report::read_pprof(&file)
        .map_err(|source| CliError::ProfileFile { path: path.to_owned(), source: Box::new(source) })
}

/// The files of a folder in the order of their names, which is that of time.
fn in_folder(folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    let entries = std::fs::read_dir(folder)
        .map_err(|source| CliError::ProfileFile { path: folder.to_owned(), source: Box::new(source) })?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.to_string_lossy().ends_with(ENDING)).collect();
    paths.sort_unstable();
    Ok(paths)
}
