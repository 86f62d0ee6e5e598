//! Throughline compared with its peers and with the least work that could do the job.
//!
//! `cargo bench -p throughline-benches --features peers --bench compare -- [--quick] [--only path[/subject]|group]
//! [--instructions] [--json] [--list]`
//!
//! Every subject of every path runs in its own process: global subscribers, reporters and recorders can be
//! set only once, and in this way each is set as its documentation says.

mod count;
mod encode;
mod export;
mod harness;
mod limit;
mod own;
#[cfg(feature = "peers")]
mod peers;
mod receiver;
mod service;
mod system;
mod throughline;
mod work;

use std::{
    env,
    error::Error,
    io::{BufRead, BufReader},
    panic,
    path::PathBuf,
    process::{self, Command, ExitCode, Stdio},
    thread,
};

use harness::{Bench, Effort};
use throughline_benches::{LIMIT, Machine, Report, Row, SUBJECT, Unit, groups::selects};

/// One subject's way of doing one path's operation.
pub(crate) type Subject = (&'static str, fn(&mut Bench<'_>));

/// The paths in the order of the table, with the subjects that are always built.
const PATHS: &[(&str, &[Subject])] = &[
    ("clock_read", &[(LIMIT, limit::clock_read), (SUBJECT, throughline::clock_read)]),
    ("span", &[(LIMIT, limit::span), (SUBJECT, throughline::span)]),
    (
        "span_in_service",
        &[
            (SUBJECT, service::delivered),
            ("throughline (endpoint down)", service::down),
            ("throughline (endpoint hangs)", service::hangs),
        ],
    ),
    ("span_2fields", &[(LIMIT, limit::span_2fields), (SUBJECT, throughline::span_2fields)]),
    ("event", &[(SUBJECT, own::plain_event)]),
    ("event_2fields", &[(LIMIT, limit::event_2fields), (SUBJECT, throughline::event_2fields)]),
    ("disabled", &[(LIMIT, limit::disabled), (SUBJECT, throughline::disabled)]),
    ("sampled_out", &[(LIMIT, limit::sampled_out), (SUBJECT, throughline::sampled_out)]),
    #[cfg(feature = "peers")]
    ("request", &[]),
    ("attach", &[(SUBJECT, own::attach_remote)]),
    ("traceparent", &[(SUBJECT, own::traceparent)]),
    ("thread_start", &[(SUBJECT, own::thread_start)]),
    ("thread_memory", &[(SUBJECT, own::thread_memory)]),
    ("counter", &[(LIMIT, limit::counter), (SUBJECT, throughline::counter)]),
    ("counter_family", &[(LIMIT, limit::counter_family), (SUBJECT, throughline::counter_family)]),
    ("histogram", &[(LIMIT, limit::histogram), (SUBJECT, throughline::histogram)]),
    ("histogram_family", &[(SUBJECT, own::labelled_histogram)]),
    ("gauge", &[(SUBJECT, own::set_gauge)]),
    ("ring", &[(LIMIT, limit::ring), (SUBJECT, throughline::ring)]),
    (
        "encode",
        &[
            (LIMIT, limit::encode),
            (SUBJECT, encode::throughline),
            ("throughline (with code location)", encode::with_code_location),
        ],
    ),
    ("export", &[(LIMIT, export::limit), (SUBJECT, export::throughline)]),
    #[cfg(feature = "peers")]
    ("export_grpc", &[(LIMIT, export::grpc_limit), (SUBJECT, export::grpc_throughline)]),
];

/// The paths whose instructions are not counted: several threads work at the same time, and no two runs are
/// equal.
const UNCOUNTED: &[&str] = &["export", "export_grpc", "thread_memory"];

/// The prefix of a child's output lines that contain a row.
const ROW: &str = "row ";

fn main() -> ExitCode {
    match Args::parse(env::args().skip(1))
        .and_then(|args| if args.child.is_some() { child(&args) } else { parent(&args) })
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs each subject in a child, in order, also under callgrind if its instructions are needed, and reports.
fn parent(args: &Args) -> Result<(), Box<dyn Error>> {
    let (mut rows, mut failed, mut any) = (Vec::new(), Vec::new(), false);
    for (path, name, _) in subjects() {
        let full = format!("{path}/{name}");
        if !args.only.as_ref().is_none_or(|only| selects(only, path, name)) {
            continue;
        }
        let counted = is_counted(path, name);
        if args.effort == Effort::Count && !(counted && name.starts_with(SUBJECT)) {
            continue;
        }
        any = true;
        if args.list {
            println!("{full}");
            continue;
        }
        let ran = match args.effort {
            Effort::Count => run_counted(path, name).map(|counted| rows.extend(counted)),
            _ => run_child(path, name, args.effort, &mut rows),
        };
        if let Err(error) = ran {
            failed.push(format!("{full}: {error}"));
        }
        if counted && matches!(args.effort, Effort::Full | Effort::Quick) {
            match run_counted(path, name) {
                Ok(counted) => rows.extend(counted.into_iter().filter(|row| row.unit == Unit::Instructions)),
                // The times are reported without instruction counts.
                Err(error) => eprintln!("{full}: instructions not counted: {error}"),
            }
        }
    }
    if !any {
        return Err("--only names no subject; see --list".into());
    }
    if args.list || args.effort == Effort::Smoke {
        return if failed.is_empty() { Ok(()) } else { Err(failed.join("\n").into()) };
    }
    let report = Report::new(&Machine::this(), rows);
    if args.json {
        println!("{}", report.to_json()?);
    } else {
        print!("{}", report.to_markdown());
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n").into()) }
}

fn run_child(path: &str, subject: &str, effort: Effort, rows: &mut Vec<Row>) -> Result<(), Box<dyn Error>> {
    let mut child = Command::new(env::current_exe()?)
        .args(["--child", path, subject, effort_flag(effort)])
        .stdout(Stdio::piped())
        .spawn()?;
    for line in BufReader::new(child.stdout.take().ok_or("no pipe to the child")?).lines() {
        let line = line?;
        match line.strip_prefix(ROW) {
            Some(row) => rows.push(serde_json::from_str(row)?),
            None => eprintln!("{line}"),
        }
    }
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(status.to_string().into()) }
}

/// Whether a subject's instructions are counted: Throughline's and the limit's are.
fn is_counted(path: &str, subject: &str) -> bool {
    let library = subject.split(" (").next().unwrap_or_default();
    [LIMIT, SUBJECT].contains(&library) && !UNCOUNTED.contains(&path)
}

/// The exact rows of a subject: its instructions, and the sizes that it notes.
fn run_counted(path: &str, subject: &str) -> Result<Vec<Row>, Box<dyn Error>> {
    let (instructions, said) = count::instructions(path, subject)?;
    let target = Machine::this().target;
    let mut rows = vec![Row::new(path, subject, &target, 1, Unit::Instructions, instructions, instructions)];
    for row in said.lines().filter_map(|line| line.strip_prefix(ROW)) {
        rows.push(serde_json::from_str(row)?);
    }
    Ok(rows)
}

/// Measures one subject of one path and prints its rows.
fn child(args: &Args) -> Result<(), Box<dyn Error>> {
    let Some((path, name)) = &args.child else { return Err("no subject".into()) };
    // Two threads wait for each other at a barrier. If one of them unwound, the other one would wait forever.
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        report(info);
        process::abort();
    }));
    let (path, name, measure) =
        subjects().find(|(p, n, _)| p == path && n == name).ok_or("no such subject; see --list")?;
    let target = Machine::this().target;
    let mut bench = Bench {
        path,
        subject: name,
        target: &target,
        effort: args.effort,
        dir: criterion_dir()?,
        rows: Vec::new(),
    };
    if args.effort == Effort::Count {
        // A separate thread gives a stack and heap whose alignment does not depend on arguments and
        // environment, which would change the cost of copies.
        thread::scope(|scope| scope.spawn(|| measure(&mut bench)).join()).expect("panics abort");
    } else {
        measure(&mut bench);
    }
    for row in &bench.rows {
        println!("{ROW}{}", serde_json::to_string(row)?);
    }
    Ok(())
}

type Named = (&'static str, &'static str, fn(&mut Bench<'_>));

/// Every subject of every path. Throughline and the limit come first, so that they are measured within
/// seconds of each other.
fn subjects() -> impl Iterator<Item = Named> {
    PATHS.iter().flat_map(|(path, own)| {
        #[cfg(feature = "peers")]
        let others = peers::of(path);
        #[cfg(not(feature = "peers"))]
        let others: &[Subject] = &[];
        own.iter().chain(others).map(move |&(name, measure)| (*path, name, measure))
    })
}

/// `target/criterion`, beside the `target/<profile>/deps` that contains this binary.
fn criterion_dir() -> Result<PathBuf, Box<dyn Error>> {
    let exe = env::current_exe()?;
    Ok(exe.ancestors().nth(3).ok_or("not in a target directory")?.join("criterion"))
}

const fn effort_flag(effort: Effort) -> &'static str {
    match effort {
        Effort::Full => "--bench",
        Effort::Quick => "--quick",
        Effort::Smoke => "--smoke",
        Effort::Count => "--instructions",
    }
}

struct Args {
    child: Option<(String, String)>,
    effort: Effort,
    json: bool,
    list: bool,
    only: Option<String>,
}

impl Args {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        // `cargo bench` adds `--bench`. `cargo test --benches` does not; it only checks that the subjects
        // run.
        let mut parsed = Self { child: None, effort: Effort::Smoke, json: false, list: false, only: None };
        while let Some(arg) = args.next() {
            let mut value = |what: &str| args.next().ok_or(format!("{arg} needs {what}"));
            match arg.as_str() {
                "--instructions" => parsed.effort = Effort::Count,
                "--bench" if parsed.effort == Effort::Smoke => parsed.effort = Effort::Full,
                "--bench" => {}
                "--quick" => parsed.effort = Effort::Quick,
                "--smoke" | "--test" => parsed.effort = Effort::Smoke,
                "--json" => parsed.json = true,
                "--list" => parsed.list = true,
                "--only" => parsed.only = Some(value("a path, path/subject, or a group")?),
                "--child" => parsed.child = Some((value("a path")?, value("a subject")?)),
                _ => return Err(format!("what is {arg}? See benches/README.md").into()),
            }
        }
        let measures = matches!(parsed.effort, Effort::Full | Effort::Quick);
        if measures && !cfg!(feature = "criterion") {
            return Err(
                "times are measured with the feature criterion: leave out --no-default-features".into()
            );
        }
        Ok(parsed)
    }
}
