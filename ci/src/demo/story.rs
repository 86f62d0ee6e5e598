//! The story of a slow tool: from the trace to the function, its memory, the fix, and what the fix has changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Steps;
use crate::firmware::Tool;
use crate::process::Cmd;
use crate::workspace;

/// The functions of the agent, `examples/slow-tool`, that the story is about: the slow one, and one that works all the same after the fix.
const SLOW: &str = "slow_tool_example::rank::words";
const OTHER: &str = "slow_tool_example::rank::likeness";
/// How the names of the agent's own functions begin.
const OWN: &str = "slow_tool_example::";
/// Lines of a table that are shown.
const LINES: usize = 12;

/// Runs it, and fails unless each step shows what it should.
pub(super) fn run() -> Result<()> {
    let mut steps = Steps::new(6);
    steps.next("building the agent, optimised, and the host tool");
    Cmd::cargo().args(["build", "--release", "--package", "slow-tool-example"]).run()?;
    let tool = Tool::build()?;
    let folder = workspace::target_dir().join("story");
    let _ = fs::remove_dir_all(&folder);

    steps.next("an agent answers three questions; the trace of one shows a slow tool");
    let before = Run::of(&folder.join("before"), &[])?;
    let slow = before.slowest()?;
    print!("{}", slow.drawn());
    let culprit = slow.tool()?;
    ensure!(
        culprit.cpu * 10 > slow.sum(|span| span.cpu) * 9,
        "the tool has not used most of the trace's CPU time:\n{}",
        slow.drawn()
    );
    println!("the tool computes: it has used {} of CPU time", milliseconds(culprit.cpu));

    steps.next("the flame graph of this trace alone");
    let profiles = before.folder.join("profiles");
    let of_trace = ["--trace", slow.id.as_str()];
    print!("{}", table(&tool.profiles(&of_trace, &[&profiles])?));
    let old = Folded::parse(&tool.profiles(&[&of_trace[..], &["--folded"]].concat(), &[&profiles])?)?;
    let (innermost, share) = old.innermost_own();
    ensure!(innermost == SLOW && share > 0.5, "{innermost} has {:.0} %, not {SLOW}", share * 100.0);
    println!("in {:.0} % of the samples the agent is in {SLOW}", share * 100.0);
    draw(&tool, &of_trace, &profiles, &folder.join("slow.svg"))?;

    steps.next("the memory that the tool has allocated, and where");
    ensure!(
        culprit.bytes * 10 > slow.sum(|span| span.bytes) * 9,
        "the tool has not allocated most of the trace's memory:\n{}",
        slow.drawn()
    );
    println!(
        "tool.execute has allocated {}, and at most {} at a time",
        mib(culprit.bytes),
        mib(culprit.peak)
    );
    let allocated = ["--memory", "--measure", "alloc_space"];
    print!("{}", table(&tool.profiles(&allocated, &[&profiles])?));
    let memory = Folded::parse(&tool.profiles(&[&allocated[..], &["--folded"]].concat(), &[&profiles])?)?;
    ensure!(memory.share(SLOW) > 0.9, "{SLOW} has allocated {:.0} %", memory.share(SLOW) * 100.0);
    draw(&tool, &allocated, &profiles, &folder.join("memory.svg"))?;

    steps.next("the fix: the same question to the agent with --fixed");
    let after = Run::of(&folder.join("after"), &["--fixed"])?;
    let fixed = after.trace_of(&slow.invocation)?;
    print!("{}", fixed.drawn());
    let mended = fixed.tool()?;
    ensure!(mended.bytes * 10 < culprit.bytes, "it allocates {} bytes, not less than a tenth", mended.bytes);
    println!(
        "tool.execute: {} of CPU time instead of {}, {} allocated instead of {}",
        milliseconds(mended.cpu),
        milliseconds(culprit.cpu),
        mib(mended.bytes),
        mib(culprit.bytes)
    );

    steps.next("what the fix has changed");
    let profiles_after = after.folder.join("profiles");
    let base = profiles.to_str().context("the path of the build folder is not UTF-8")?;
    let change = ["--trace", &fixed.id, "--diff", base, "--diff-trace", &slow.id];
    let new = Folded::parse(&tool.profiles(&["--trace", &fixed.id, "--folded"], &[&profiles_after])?)?;
    let (share, share_before) = (new.share(SLOW), old.share(SLOW));
    ensure!(share < share_before - 0.2, "{SLOW} had {share_before:.2} of the trace and now has {share:.2}");
    println!("{SLOW}: {:.0} % of the trace instead of {:.0} %", share * 100.0, share_before * 100.0);
    let picture = draw(&tool, &change, &profiles_after, &folder.join("change.svg"))?;
    for (function, wanted) in [(SLOW, Change::Less), (OTHER, Change::More)] {
        let color = color(&picture, function)?;
        ensure!(
            Change::of(color) == Some(wanted),
            "{function} has the colour {color:?}, which is not {wanted:?}"
        );
    }
    Ok(())
}

/// Makes a flame graph, says where it is, and returns it.
fn draw(tool: &Tool, what: &[&str], profiles: &Path, picture: &Path) -> Result<String> {
    let drawn = tool.profiles(&[what, &["--svg"]].concat(), &[profiles])?;
    fs::write(picture, &drawn)?;
    println!("{}", picture.display());
    Ok(drawn)
}

/// The first lines of a table of functions, none of them longer than a terminal is wide.
fn table(text: &str) -> String {
    text.lines().take(LINES).map(|line| format!("{}\n", line.chars().take(120).collect::<String>())).collect()
}

/// A run of the agent.
struct Run {
    folder: PathBuf,
    traces: Vec<Trace>,
}

/// One question to the agent.
#[derive(Default)]
struct Trace {
    id: String,
    invocation: String,
    spans: Vec<Span>,
}

struct Span {
    name: String,
    begin: u64,
    nanoseconds: u64,
    /// What it has used itself: CPU time in nanoseconds, bytes that were allocated, the most at a time.
    cpu: u64,
    bytes: u64,
    peak: u64,
}

impl Run {
    /// Runs the agent, which writes its traces and profiles into the folder.
    fn of(folder: &Path, args: &[&str]) -> Result<Run> {
        let program = workspace::target_dir()
            .join("release")
            .join(format!("slow-tool-example{}", std::env::consts::EXE_SUFFIX));
        fs::create_dir_all(folder)?;
        let text =
            Cmd::new(program).args(args).env("FOLDER", folder).env("OTEL_SDK_DISABLED", "").output()?;
        print!("{text}");
        let lines = fs::read_to_string(folder.join("traces.jsonl")).context("the agent wrote no traces")?;
        let mut traces = BTreeMap::<String, Trace>::new();
        for line in lines.lines() {
            let request: Value = serde_json::from_str(line)?;
            let spans = request["resourceSpans"].as_array().into_iter().flatten();
            let spans = spans.flat_map(|it| it["scopeSpans"].as_array().into_iter().flatten());
            for span in spans.flat_map(|it| it["spans"].as_array().into_iter().flatten()) {
                let id = span["traceId"].as_str().context("a span has no trace")?;
                let trace = traces.entry(id.to_owned()).or_default();
                trace.id = id.to_owned();
                if let Some(invocation) = attribute(span, "invocation_id") {
                    trace.invocation = invocation;
                }
                trace.spans.push(Span::of(span)?);
            }
        }
        let mut traces: Vec<Trace> = traces.into_values().collect();
        traces.iter_mut().for_each(|trace| trace.spans.sort_by_key(|span| span.begin));
        Ok(Run { folder: folder.to_owned(), traces })
    }

    fn slowest(&self) -> Result<&Trace> {
        let duration = |trace: &&Trace| trace.spans.iter().map(|span| span.nanoseconds).max();
        self.traces.iter().max_by_key(duration).context("the agent recorded no trace")
    }

    fn trace_of(&self, invocation: &str) -> Result<&Trace> {
        let trace = self.traces.iter().find(|trace| trace.invocation == invocation);
        trace.with_context(|| format!("there is no trace of the invocation {invocation}"))
    }
}

impl Trace {
    /// The call of the tool.
    fn tool(&self) -> Result<&Span> {
        self.spans.iter().find(|span| span.name == "tool.execute").context("the trace has no call of a tool")
    }

    fn sum(&self, of: impl Fn(&Span) -> u64) -> u64 {
        self.spans.iter().map(of).sum()
    }

    fn drawn(&self) -> String {
        let mut text = format!("trace {}\n", self.id);
        for Span { name, nanoseconds, cpu, bytes, .. } in &self.spans {
            let (took, cpu) = (milliseconds(*nanoseconds), milliseconds(*cpu));
            text += &format!("{took:>12}  {name:<14}{cpu:>12} of CPU time, {:>12} allocated\n", mib(*bytes));
        }
        text
    }
}

impl Span {
    fn of(span: &Value) -> Result<Span> {
        let time = |key: &str| span[key].as_str().and_then(|ns| ns.parse::<u64>().ok());
        let (begin, end) =
            time("startTimeUnixNano").zip(time("endTimeUnixNano")).context("a span has no times")?;
        let number = |key: &str| attribute(span, key).and_then(|text| text.parse().ok()).unwrap_or(0);
        Ok(Span {
            name: span["name"].as_str().unwrap_or_default().to_owned(),
            begin,
            nanoseconds: end.saturating_sub(begin),
            cpu: number("resource.cpu.micros") * 1000,
            bytes: number("resource.memory.bytes"),
            peak: number("resource.memory.peak"),
        })
    }
}

/// The value of an attribute, a text or an integer.
fn attribute(span: &Value, key: &str) -> Option<String> {
    let attributes = span["attributes"].as_array()?;
    let value = &attributes.iter().find(|attribute| attribute["key"] == key)?["value"];
    ["stringValue", "intValue"].iter().find_map(|kind| value[kind].as_str().map(str::to_owned))
}

/// Folded stacks: the functions, the outermost first, and their value.
struct Folded(Vec<(Vec<String>, u64)>);

impl Folded {
    fn parse(text: &str) -> Result<Folded> {
        let line = |line: &str| {
            let (stack, value) = line.rsplit_once(' ')?;
            Some((stack.split(';').map(str::to_owned).collect(), value.parse().ok()?))
        };
        let lines: Option<Vec<_>> = text.lines().map(line).collect();
        let lines = lines.context("the folded text has a line without a value")?;
        ensure!(!lines.is_empty(), "the folded text is empty");
        Ok(Folded(lines))
    }

    fn all(&self) -> u64 {
        self.0.iter().map(|(_, value)| value).sum::<u64>().max(1)
    }

    /// The share of the stacks that have the function.
    fn share(&self, function: &str) -> f64 {
        let with = self.0.iter().filter(|(stack, _)| stack.iter().any(|name| name == function));
        with.map(|(_, value)| value).sum::<u64>() as f64 / self.all() as f64
    }

    /// The function of the agent that is the innermost one of its own in most samples, and its share.
    fn innermost_own(&self) -> (&str, f64) {
        let mut functions = BTreeMap::<&str, u64>::new();
        for (stack, value) in &self.0 {
            if let Some(own) = stack.iter().rfind(|name| name.starts_with(OWN)) {
                *functions.entry(own).or_default() += value;
            }
        }
        let most = functions.into_iter().max_by_key(|(_, value)| *value).unwrap_or_default();
        (most.0, most.1 as f64 / self.all() as f64)
    }
}

/// What the colour of a frame tells in a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Less,
    More,
}

impl Change {
    fn of([red, green, blue]: [u8; 3]) -> Option<Change> {
        match (red > green, blue > green) {
            (false, true) => Some(Change::Less),
            (true, false) => Some(Change::More),
            _ => None,
        }
    }
}

/// Red, green and blue of the first frame of a function.
fn color(picture: &str, function: &str) -> Result<[u8; 3]> {
    let (_, frame) = picture
        .split_once(&format!("<title>{function} ("))
        .with_context(|| format!("the picture has no frame of {function}"))?;
    let color = frame.split_once("fill=\"rgb(").and_then(|(_, rest)| rest.split_once(')'));
    let numbers =
        color.map(|(color, _)| color.split(',').map_while(|part| part.parse().ok()).collect::<Vec<u8>>());
    numbers.and_then(|numbers| numbers.try_into().ok()).context("the frame has no colour")
}

fn milliseconds(nanoseconds: u64) -> String {
    format!("{:.1} ms", nanoseconds as f64 / 1e6)
}

fn mib(bytes: u64) -> String {
    format!("{:.2} MiB", bytes as f64 / 1_048_576.0)
}
