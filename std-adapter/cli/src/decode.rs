//! `throughline decode`: from bytes to outputs.

use throughline_decode::trace::TraceBuilder;
use throughline_decode::{Context, DamageKind, Decoder, Elf, Item, TimeOptions};

use crate::args::{DecodeArgs, Format};
use crate::error::CliError;
use crate::input::{self, Chunk};
use crate::output::{Output, json::Json, otlp::Otlp, tree::TreeText};
use crate::summary::Summary;
use crate::{DAMAGED, FAILED, FINE};

/// Records held back for their parents: some 100 MB at most for usual records.
const HELD: usize = 1 << 18;
/// Records for which a trace is kept after its root has ended.
const LINGER: u64 = 64;
/// Silences after which a live stream's unfinished traces are shown as they are.
const PATIENCE: u32 = 7;

/// Runs the command; the exit code.
pub(crate) fn run(args: &DecodeArgs) -> Result<u8, CliError> {
    let elf = Elf::read(&args.elf)?;
    let options = TimeOptions {
        anchor_unix_ns: args.anchor,
        drift_ppm: args.drift_ppm,
        max_latency_ns: args.max_latency.map(|d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)),
    };
    let mut run = Run {
        outputs: outputs(args)?,
        assembler: TraceBuilder::new(HELD, LINGER),
        failed: None,
        wrong_elf: None,
    };
    let mut decoder = Decoder::new(Some(&elf), options);
    let read = input::read(&args.input, |chunk| {
        match chunk {
            // A time that was given is better known than one guessed from arrivals.
            Chunk::Bytes(bytes, arrival) => {
                let arrival = arrival.filter(|_| args.anchor.is_none());
                decoder.push(bytes, arrival, &mut |context, item| run.item(context, &item));
                if arrival.is_some() {
                    run.each(|output| output.pause());
                }
            }
            Chunk::Silence(n) => run.silence(n),
        }
        run.failed.take().map_or(Ok(()), Err)
    });
    // What was decoded before an error is shown all the same.
    decoder.finish(&mut |context, item| run.item(context, &item));
    run.flush();
    let summary = Summary { balance: decoder.balance(), counts: decoder.counts() };
    if decoder.counts().bytes > 0 {
        run.each(|output| output.finish(&summary));
    }
    if read? == 0 {
        return Err(CliError::Empty { path: args.input.clone() });
    }
    if let Some(error) = run.failed {
        return Err(error);
    }
    if let Some(mismatch) = run.wrong_elf {
        eprintln!("throughline: {mismatch}");
        return Ok(FAILED);
    }
    if summary.counts.frames == 0 {
        eprintln!(
            "throughline: {} holds no throughline frame; check that it is the raw byte stream of the device, and the baud rate",
            args.input.display()
        );
    }
    Ok(if summary.damaged() { DAMAGED } else { FINE })
}

fn outputs<'elf>(args: &DecodeArgs) -> Result<Vec<Box<dyn Output<'elf> + 'elf>>, CliError> {
    let mut outputs: Vec<Box<dyn Output<'elf> + 'elf>> = Vec::new();
    match args.format {
        Format::Tree => outputs.push(Box::new(TreeText::new())),
        Format::Json => outputs.push(Box::new(Json::new())),
        Format::None => {}
    }
    if let Some(url) = &args.otlp {
        outputs.push(Box::new(Otlp::new(url, args.service_name.clone(), args.input.clone())?));
    }
    Ok(outputs)
}

struct Run<'elf> {
    outputs: Vec<Box<dyn Output<'elf> + 'elf>>,
    assembler: TraceBuilder<'elf>,
    failed: Option<CliError>,
    wrong_elf: Option<DamageKind>,
}

impl<'elf> Run<'elf> {
    fn item(&mut self, context: &Context, item: &Item<'elf, '_>) {
        if let Item::Damage(damage) = item
            && matches!(damage.kind, DamageKind::BuildId(_))
        {
            self.wrong_elf = Some(damage.kind.clone());
        }
        // First what the item ends (a boot ends all traces), then the item itself.
        let Run { outputs, assembler, failed, .. } = self;
        assembler.take(context, item, &mut |a| each(outputs, failed, |output| output.assembled(&a)));
        self.each(|output| output.item(context, item));
    }

    fn silence(&mut self, times: u32) {
        let Run { outputs, assembler, failed, .. } = self;
        let mut show = |a| each(outputs, failed, |output| output.assembled(&a));
        match times {
            1 => assembler.settle(&mut show),
            PATIENCE => assembler.flush(&mut show),
            _ => return,
        }
        self.each(|output| output.pause());
    }

    fn flush(&mut self) {
        let Run { outputs, assembler, failed, .. } = self;
        assembler.flush(&mut |a| each(outputs, failed, |output| output.assembled(&a)));
    }

    fn each(&mut self, f: impl FnMut(&mut (dyn Output<'elf> + 'elf)) -> Result<(), CliError>) {
        each(&mut self.outputs, &mut self.failed, f);
    }
}

/// Calls every output; the first error is kept.
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
