//! `throughline callsites`: lists what a program can record.

use std::io::{BufWriter, Write};

use serde_json::json;
use throughline::adapter::callsite::Kind;
use throughline_decode::Elf;
use throughline_export::text::Escaped;

use crate::FINE;
use crate::args::CallsitesArgs;
use crate::error::CliError;
use crate::output::json::write_line;

/// Runs the command and returns the exit code.
pub(crate) fn run(args: &CallsitesArgs) -> Result<u8, CliError> {
    let elf = Elf::read(&args.elf)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut count = 0;
    for (id, site) in elf.callsites() {
        count += 1;
        let kind = match site.kind {
            Kind::Span => "span",
            Kind::Event => "event",
            Kind::Fields => "fields",
            Kind::Counter => "counter",
            Kind::UpDownCounter => "up_down_counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let fields: Vec<_> = site.fields().collect();
        if args.json {
            let object = json!({
                "id": format!("{id:#x}"),
                "kind": kind,
                "level": site.level.map(|l| l.as_str()),
                "name": site.name,
                "target": site.target,
                "file": site.file,
                "line": site.line,
                "unit": site.unit,
                "description": site.description,
                "fields": fields,
                "labels": site.labels().map(|(k, v)| json!([k, v])).collect::<Vec<_>>(),
                "bytes": site.len,
            });
            write_line(&mut out, &object)?;
            continue;
        }
        let level = site.level.map_or("", |l| l.as_str());
        write!(out, "{id:#10x}  {kind:<15}  {level:<5}  {}", Escaped(site.name))?;
        if !fields.is_empty() {
            write!(out, " [{}]", Escaped(&fields.join(", ")))?;
        }
        for (key, value) in site.labels() {
            write!(out, " {}={}", Escaped(key), Escaped(value))?;
        }
        if !site.unit.is_empty() {
            write!(out, " ({})", Escaped(site.unit))?;
        }
        writeln!(out, "  {}:{}", Escaped(site.file), site.line)?;
    }
    if !args.json {
        writeln!(out, "{count} callsites in {}", elf.path().display())?;
    }
    out.flush()?;
    Ok(FINE)
}
