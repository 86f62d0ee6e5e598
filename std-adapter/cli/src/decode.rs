//! `throughline decode`: passes decoded bytes to the outputs.

use std::time::{Duration, Instant};

use throughline_decode::trace::{Assembled, TraceBuilder};
use throughline_decode::{Context, DamageKind, Decoder, Elf, Item, TimeOptions};

use crate::args::{DecodeArgs, Format, Metrics};
use crate::error::CliError;
use crate::input::{Chunk, Source};
use crate::output::{Output, json::Json, otlp::Otlp, profile::ProfileFile, tree::TreeText};
use crate::redact::Redactor;
use crate::summary::Summary;
use crate::{DAMAGED, FAILED, FINE, say, stop};

/// How many more records are taken before a trace whose root has ended is shown.
const LINGER: u64 = 64;

/// Runs the command and returns the exit code.
pub(crate) fn run(args: &DecodeArgs) -> Result<u8, CliError> {
    let elf = Elf::read(&args.elf)?;
    let source = Source::open(args)?;
    let outputs = outputs(args, &source)?;
    decode(args, &elf, source, outputs)
}

/// Decodes for this output alone.
pub(crate) fn run_into(
    args: &DecodeArgs,
    output: impl for<'elf> Output<'elf> + 'static,
) -> Result<u8, CliError> {
    let elf = Elf::read(&args.elf)?;
    decode(args, &elf, Source::open(args)?, vec![Box::new(output)])
}

fn decode<'elf>(
    args: &DecodeArgs,
    elf: &'elf Elf,
    source: Source,
    outputs: Vec<Box<dyn Output<'elf> + 'elf>>,
) -> Result<u8, CliError> {
    stop::listen();
    let name = source.name().to_owned();
    let options = TimeOptions {
        anchor_unix_ns: args.anchor,
        drift_ppm: args.drift_ppm,
        max_latency_ns: args.max_latency.map(|d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)),
    };
    let hold = usize::try_from(args.hold).unwrap_or(usize::MAX);
    let mut run = Run {
        outputs,
        redactor: Redactor::new(!args.no_redact),
        traces: TraceBuilder::new(hold, LINGER),
        sweeps: source.is_live().then(|| Sweeps::new(args.patience)),
        failed: None,
        wrong_elf: None,
    };
    let mut decoder = Decoder::new(Some(elf), options);
    let read = source.read(|chunk| {
        match chunk {
            // A given anchor takes precedence over times of arrival.
            Chunk::Bytes(bytes, arrival) => {
                let arrival = arrival.filter(|_| args.anchor.is_none());
                decoder.push(bytes, arrival, &mut |context, item| run.item(context, &item));
            }
            Chunk::Reopened => decoder.rejoin(),
            Chunk::Quiet => run.settle(),
        }
        run.pause();
        run.failed.take().map_or(Ok(()), Err)
    });
    let interrupted = stop::requested();
    if interrupted {
        // A frame that the signal cut is not damage.
        decoder.rejoin();
    }
    // Show what was decoded even after an error.
    decoder.finish(&mut |context, item| run.item(context, &item));
    run.flush();
    let unknown_parent = run.traces.unknown_parent();
    let summary =
        Summary { balance: decoder.balance(), counts: decoder.counts(), unknown_parent, interrupted };
    if decoder.counts().bytes > 0 {
        run.each(|output| output.finish(decoder.context(), &summary));
    }
    if read? == 0 {
        return Err(CliError::Empty { path: name });
    }
    if let Some(error) = run.failed {
        return Err(error);
    }
    if let Some(mismatch) = run.wrong_elf {
        say(&mismatch);
        return Ok(FAILED);
    }
    if summary.counts.frames == 0 {
        say(&format_args!(
            "{} holds no throughline frame; check that it is the raw byte stream of the device, and the baud rate",
            name.display()
        ));
    }
    Ok(if summary.damaged() { DAMAGED } else { FINE })
}

fn outputs<'elf>(args: &DecodeArgs, source: &Source) -> Result<Vec<Box<dyn Output<'elf> + 'elf>>, CliError> {
    let mut outputs: Vec<Box<dyn Output<'elf> + 'elf>> = Vec::new();
    let metrics = args.metrics.unwrap_or(if source.is_live() { Metrics::Each } else { Metrics::Last });
    match args.format() {
        Format::Tree => outputs.push(Box::new(TreeText::new(metrics))),
        Format::Json => outputs.push(Box::new(Json::new())),
        Format::None => {}
    }
    if let Some(path) = &args.profile {
        outputs.push(Box::new(ProfileFile::new(path, &args.elf)?));
    }
    if let Some(url) = &args.otlp {
        let name = args.service_name.clone();
        outputs.push(Box::new(Otlp::new(url, name, source.name().to_owned(), source.is_live())?));
    }
    Ok(outputs)
}

struct Run<'elf> {
    outputs: Vec<Box<dyn Output<'elf> + 'elf>>,
    redactor: Redactor,
    traces: TraceBuilder<'elf>,
    /// When open traces are shown in part; only for a live stream.
    sweeps: Option<Sweeps>,
    failed: Option<CliError>,
    wrong_elf: Option<DamageKind>,
}

/// When the open traces of a live stream are shown in part: twice within the patience, because a sweep shows
/// what came before the last sweep.
struct Sweeps {
    every: Duration,
    last: Instant,
}

impl Sweeps {
    fn new(patience: Duration) -> Sweeps {
        Sweeps { every: patience / 2, last: Instant::now() }
    }

    fn is_due(&mut self) -> bool {
        let due = self.last.elapsed() >= self.every;
        if due {
            self.last = Instant::now();
        }
        due
    }
}

impl<'elf> Run<'elf> {
    fn item(&mut self, context: &Context, item: &Item<'elf, '_>) {
        if let Item::Damage(damage) = item
            && matches!(damage.kind, DamageKind::BuildId(_))
        {
            self.wrong_elf = Some(damage.kind.clone());
        }
        // First show what the item ends (a boot ends all traces), then the item itself.
        self.give(|traces, show| traces.take(context, item, show));
        let item = self.redactor.item(item);
        self.each(|output| output.item(context, &item));
    }

    /// Shows the traces whose root has ended, when no more bytes are available.
    fn settle(&mut self) {
        self.give(|traces, show| traces.settle(show));
    }

    /// Makes everything visible that is due in a live stream.
    fn pause(&mut self) {
        let Some(sweeps) = &mut self.sweeps else { return };
        if sweeps.is_due() {
            self.give(|traces, show| traces.sweep(show));
        }
        self.each(|output| output.pause());
    }

    fn flush(&mut self) {
        self.give(|traces, show| traces.flush(show));
    }

    /// Passes what `take` gets from the traces to the outputs.
    fn give(&mut self, take: impl FnOnce(&mut TraceBuilder<'elf>, &mut dyn FnMut(Assembled<'elf>))) {
        let Run { outputs, traces, failed, redactor, .. } = self;
        take(traces, &mut |mut assembled| {
            redactor.assembled(&mut assembled);
            each(outputs, failed, |output| output.assembled(&assembled));
        });
    }

    fn each(&mut self, f: impl FnMut(&mut (dyn Output<'elf> + 'elf)) -> Result<(), CliError>) {
        each(&mut self.outputs, &mut self.failed, f);
    }
}

/// Calls every output and keeps the first error.
fn each<'elf>(
    outputs: &mut [Box<dyn Output<'elf> + 'elf>],
    failed: &mut Option<CliError>,
    mut f: impl FnMut(&mut (dyn Output<'elf> + 'elf)) -> Result<(), CliError>,
) {
    for output in outputs {
        if let Err(error) = f(output.as_mut()) {
            failed.get_or_insert(error);
        }
    }
}
