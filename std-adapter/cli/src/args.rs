//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use throughline::{SpanId, TraceId};

use crate::error::CliError;

/// Shows what a throughline device sends, or passes it on.
#[derive(Debug, Parser)]
#[command(name = "throughline", version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Decode(DecodeArgs),
    Callsites(CallsitesArgs),
    Config(ConfigArgs),
    Insights(InsightsArgs),
    Profile(ProfileArgs),
    Pgo(PgoArgs),
    Rules(RulesArgs),
}

/// Decode a capture or a live stream: print traces as trees, then the metrics, then what was lost
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  throughline decode --elf target/thumbv7em-none-eabihf/release/app capture.bin
  throughline decode --elf app --serial /dev/ttyACM0 --baud 115200
  nc board.local 19021 | throughline decode --elf app -
  throughline decode --elf app --json capture.bin | jq 'select(.kind == \"span\")'
  throughline decode --elf app --otlp http://localhost:4318 --anchor 2026-01-31T12:00:00Z capture.bin
  throughline decode --elf app --profile app.svg capture.bin

A live stream (a serial port, a pipe) is shown as it arrives. Ctrl-C or SIGTERM ends it as if the stream had ended: open
traces, metrics and the summary are shown, and the exit code is 0 or 2 as usual. A second Ctrl-C ends at once.

Exit codes:
  0    fine; losses on the device itself (a full ring) are shown but are not damage
  1    wrong use, a file that cannot be read, a wrong ELF, or a collector that does not take the data
  2    decoded, but the capture is damaged, the link lost frames, or the device's clock does not work
  130  ended by a second Ctrl-C before everything was shown")]
pub(crate) struct DecodeArgs {
    /// The ELF that runs on the device, as cargo built it; names and source lines come from it
    #[arg(long, value_name = "FILE")]
    pub(crate) elf: PathBuf,
    /// The capture, or - for standard input; a pipe is read as a live stream
    #[arg(default_value = "-", value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// Read this serial port instead, in raw mode; it is opened again after it disappears
    #[arg(long, value_name = "PORT", conflicts_with = "input")]
    pub(crate) serial: Option<PathBuf>,
    /// Bits per second of the serial port
    #[arg(long, value_name = "N", default_value_t = 115_200, requires = "serial")]
    pub(crate) baud: u32,
    /// What to print
    #[arg(long, value_enum, default_value_t = Format::Tree)]
    pub(crate) format: Format,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    pub(crate) json: bool,
    /// When the tree shows metrics; by default each snapshot of a live stream, but only the last one of a
    /// file
    #[arg(long, value_enum)]
    pub(crate) metrics: Option<Metrics>,
    /// For a live stream: longest time until a record is shown, even if the root of its trace is still open;
    /// the trace then continues under a header that says (continued)
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "2s")]
    pub(crate) patience: Duration,
    /// Most records held back until the root of their trace ends, about 1 kB each; beyond that, the trace
    /// that has waited longest is shown in part
    #[arg(long, value_name = "RECORDS", default_value_t = 32_768, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) hold: u32,
    /// Also write a profile of the device's samples: a flame graph (.svg), pprof (.pb.gz), folded stacks (.folded), or tables of
    /// functions and spans (.txt)
    #[arg(long, value_name = "FILE")]
    pub(crate) profile: Option<PathBuf>,
    /// Also send everything to this OTLP/HTTP endpoint, such as http://localhost:4318
    #[arg(long, value_name = "URL")]
    pub(crate) otlp: Option<String>,
    /// The service.name to send, instead of the device's name
    #[arg(long, value_name = "NAME")]
    pub(crate) service_name: Option<String>,
    /// Time of the first record, for a device that does not know the time: RFC 3339, or nanoseconds since
    /// 1970
    #[arg(long, value_name = "TIME", value_parser = parse_anchor)]
    pub(crate) anchor: Option<u64>,
    /// Longest time from a record to its arrival here; it bounds the error of a live stream's times
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) max_latency: Option<Duration>,
    /// Show and send everything. Without this, the values of fields and labels whose names say that they are
    /// secret, such as password, token and api_key, are replaced by [REDACTED]
    #[arg(long)]
    pub(crate) no_redact: bool,
    /// Largest error of the device's oscillator, in parts per million
    #[arg(long, value_name = "PPM", default_value_t = 100)]
    pub(crate) drift_ppm: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Trees for people to read
    Tree,
    /// One JSON object per line
    Json,
    /// Only errors, for use with --otlp
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Metrics {
    /// All of them at each snapshot, and the latest at the end
    Each,
    /// The latest at the end, or when the device restarts
    Last,
}

impl DecodeArgs {
    /// The output format.
    pub(crate) fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }
}

/// List the callsites of an ELF: every span, event and metric that the program can make
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  throughline callsites --elf target/thumbv7em-none-eabihf/release/app
  throughline callsites --elf app --json | jq -r 'select(.kind == \"counter\") | .name'")]
pub(crate) struct CallsitesArgs {
    /// The ELF, as cargo built it
    #[arg(long, value_name = "FILE")]
    pub(crate) elf: PathBuf,
    /// Print one JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
}

/// Check and explain the configuration of a service that records with throughline-std
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Find all mistakes in a file, TOML or YAML, and in the environment; the exit code is 1 if there are any
    #[command(after_help = "\
Examples:
  throughline config check shop.toml
  OTLP_TOKEN=x throughline config check shop.yaml     # variables that the file needs have to be set

It finds what the service would find when it starts, but for ports that are taken and spools that another program
uses. To learn whether a file can be written, it creates the file and removes it again, so run it as the service's
user.")]
    Check {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Show what holds, and for each value where it comes from: the default, a line of the file, or a variable. Secrets are masked
    Print {
        /// The file; without it, the environment alone and the file that THROUGHLINE_CONFIG names
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Print all keys, with what they are for and their defaults, as a TOML file to copy from
    Reference,
    /// Print the JSON Schema, by which editors complete and check files
    Schema,
}

/// Show what a service's profiles say, as a whole or of one trace: a table, a flame graph, or files for other tools
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  throughline profile profiles/                                           # a table of all CPU profiles of a folder
  throughline profile --trace 4bf92f3577b34da6a3ce929d0e0e4736 --svg profiles/ > slow.svg
  throughline profile --memory --measure alloc_space profiles/            # what was allocated, instead of what is in use
  throughline profile --diff profiles-before/ --svg profiles/ > change.svg
  throughline profile --wall --svg traces.jsonl > wall.svg                # where the time of spans went, also while they waited
  throughline profile --wall --measure idle --elf app capture.bin         # only the waiting, of a device

Services write such files with throughline-std's feature `profile`; a span that has samples has the attribute
throughline.profile.samples. All CPU profiles are added up; of memory profiles the last one is shown, because each is of
everything since the program's start.")]
pub(crate) struct ProfileArgs {
    /// Files in pprof's format (.pb.gz), or folders of them; with --wall, files of traces
    #[arg(required = true, value_name = "FILE|FOLDER")]
    pub(crate) inputs: Vec<PathBuf>,
    /// Only the samples of this trace
    #[arg(long, value_name = "ID", value_parser = parse_trace)]
    pub(crate) trace: Option<TraceId>,
    /// Only the samples of this span, without those of its children
    #[arg(long, value_name = "ID", value_parser = parse_span)]
    pub(crate) span: Option<SpanId>,
    /// Only the samples of spans with this label, such as agent_name=planner
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_label)]
    pub(crate) label: Option<(String, String)>,
    /// Memory instead of CPU time
    #[arg(long)]
    pub(crate) memory: bool,
    /// The wall-clock time of spans, from files of traces: OTLP in JSON, one request on a line, or captures of a device with
    /// --elf. What async spans wait has frames of its own
    #[arg(long, conflicts_with_all = ["memory", "label"])]
    pub(crate) wall: bool,
    /// The ELF of the device whose captures are passed
    #[arg(long, value_name = "FILE", requires = "wall")]
    pub(crate) elf: Option<PathBuf>,
    /// Another measure than CPU time or memory in use: samples, cpu, alloc_objects, alloc_space, inuse_objects,
    /// inuse_space; with --wall: spans, busy, idle, wall
    #[arg(long, value_name = "NAME")]
    pub(crate) measure: Option<String>,
    /// What to make
    #[arg(long, value_enum, default_value_t = ProfileFormat::Text)]
    pub(crate) format: ProfileFormat,
    /// The same as --format svg
    #[arg(long, conflicts_with = "format")]
    pub(crate) svg: bool,
    /// The same as --format pprof
    #[arg(long, conflicts_with_all = ["format", "svg"])]
    pub(crate) pprof: bool,
    /// The same as --format folded
    #[arg(long, conflicts_with_all = ["format", "svg", "pprof"])]
    pub(crate) folded: bool,
    /// What changed since this profile, or since the profiles in this folder, scaled to the same sum: a flame graph, red
    /// where more is used and blue where less is; or folded text with both values
    #[arg(long, value_name = "FILE|FOLDER")]
    pub(crate) diff: Option<PathBuf>,
    /// Compare with this trace of --diff
    #[arg(long, value_name = "ID", requires = "diff", value_parser = parse_trace)]
    pub(crate) diff_trace: Option<TraceId>,
    /// Write to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProfileFormat {
    /// A table for people to read
    Text,
    /// A flame graph for a browser
    Svg,
    /// For `go tool pprof`
    Pprof,
    /// Folded stacks
    Folded,
    /// For Chrome's developer tools and Visual Studio Code (.cpuprofile)
    Chrome,
    /// For https://www.speedscope.app
    Speedscope,
}

impl ProfileArgs {
    /// What is made: of a difference, a flame graph unless text is asked for.
    pub(crate) fn format(&self) -> Result<ProfileFormat, CliError> {
        let format = match (self.svg, self.pprof, self.folded) {
            (true, _, _) => ProfileFormat::Svg,
            (_, true, _) => ProfileFormat::Pprof,
            (_, _, true) => ProfileFormat::Folded,
            _ => self.format,
        };
        match (format, &self.diff) {
            (ProfileFormat::Text, Some(_)) => Ok(ProfileFormat::Svg),
            (ProfileFormat::Svg | ProfileFormat::Folded, _) | (_, None) => Ok(format),
            _ => Err(CliError::NoDifference),
        }
    }
}

/// Find bottlenecks in files of traces: what is slow, grows, waits, is tried again and again, or is called in a loop
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  throughline insights traces.jsonl                 # what otlp.file of a service and the Collector's file exporter write
  throughline insights --json traces.jsonl | jq '.findings[] | select(.severity == \"critical\")'
  throughline insights --elf app capture.bin        # of a device

It is the report that a service with the feature `insights` has at /debug/insights. Each finding names traces that show it.
Queues are found in gauges with queue or depth in their names.

Exit codes:
  0  fine, whatever is found
  1  wrong use, or a file that cannot be read
  2  a capture is damaged; everything undamaged is looked at")]
pub(crate) struct InsightsArgs {
    /// Files of OTLP in JSON, one request on a line, or captures of a device with --elf
    #[arg(required = true, value_name = "FILE")]
    pub(crate) inputs: Vec<PathBuf>,
    /// The ELF of the device whose captures are passed
    #[arg(long, value_name = "FILE")]
    pub(crate) elf: Option<PathBuf>,
    /// Print JSON, as the page of a service does
    #[arg(long)]
    pub(crate) json: bool,
    /// Compare the latencies of the last window of this length with those of the 12 before; a 13th of the time of the files
    /// unless given
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) window: Option<Duration>,
}

/// Make a profile for the compiler from a service's CPU profiles
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  throughline pgo --executable target/release/shop -o shop.prof profiles/
  RUSTFLAGS=\"-Zprofile-sample-use=$PWD/shop.prof -Zdebug-info-for-profiling\" cargo +nightly build --release

The executable that is profiled needs debug information (-Cdebuginfo=1, better with -Zdebug-info-for-profiling of a
nightly compiler), and the sources must be the same for both builds, or the lines do not match.")]
pub(crate) struct PgoArgs {
    /// CPU profiles in pprof's format (.pb.gz), or folders of them
    #[arg(required = true, value_name = "FILE|FOLDER")]
    pub(crate) inputs: Vec<PathBuf>,
    /// The executable or library that was profiled
    #[arg(long, value_name = "FILE")]
    pub(crate) executable: PathBuf,
    /// Write to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// Check the alert rules of a service, or make rules for Prometheus of them
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  throughline rules check alerts.yaml
  throughline rules --prometheus alerts.yaml > prometheus-rules.yaml

Exit codes:
  0  fine
  1  mistakes, which are told with file, line, column and rule"
)]
pub(crate) struct RulesArgs {
    #[command(subcommand)]
    pub(crate) command: Option<RulesCommand>,
    /// Print the rules of this file as rules for Prometheus, which `promtool check rules` accepts
    #[arg(long, value_name = "FILE")]
    pub(crate) prometheus: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// Tell all mistakes in files of rules
    Check {
        /// Files in YAML, or in TOML if their names end in .toml
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

fn parse_trace(text: &str) -> Result<TraceId, String> {
    TraceId::from_hex(text).ok_or_else(|| "pass the 32 hexadecimal digits of a trace id".into())
}

fn parse_span(text: &str) -> Result<SpanId, String> {
    SpanId::from_hex(text).ok_or_else(|| "pass the 16 hexadecimal digits of a span id".into())
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("pass NAME=VALUE, such as agent_name=planner")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn parse_anchor(text: &str) -> Result<u64, String> {
    if let Ok(ns) = text.parse() {
        return Ok(ns);
    }
    let time: jiff::Timestamp = text
        .parse()
        .map_err(|e| format!("{e}; pass RFC 3339 such as 2026-01-31T12:00:00Z, or nanoseconds since 1970"))?;
    u64::try_from(time.as_nanosecond()).map_err(|_| format!("{text} lies before 1970"))
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration: jiff::SignedDuration =
        text.parse().map_err(|e| format!("{e}; pass a duration such as 20ms"))?;
    Duration::try_from(duration).map_err(|_| format!("{text} is negative"))
}
