//! What the pump and the exporters report about themselves: the metrics `throughline.pump.*`. They are read from
//! atomic counts when metrics are read, and never pass through a ring.

use super::{Data, Point};
use crate::pump::distribution::Histogram;
use std::borrow::Cow;
use throughline_export::Times;
use throughline_export::cpu;
use throughline_export::ledger::Cells;
use throughline_export::view::Scope;

/// The metrics of the pump and of all exporters that have done something. `ring_fill` is the greatest share of a ring
/// that was full.
pub(in crate::pump) fn of_pump(cells: &Cells, ring_fill: f64) -> Vec<Point> {
    let mut points = vec![point(
        "throughline.pump.ring.fill",
        "1",
        "The fullest ring in the last interval of metrics: what the pump found in it, by its size",
        None,
        Data::GaugeFloat(ring_fill),
    )];
    points.extend(cpu::of_own_threads().map(|time| {
        let description = "CPU time of the pump's and the exporters' threads";
        point("throughline.pump.cpu.time", "s", description, None, Data::CounterFloat(time.as_secs_f64()))
    }));
    points.extend(times(
        "throughline.pump.drain.duration",
        "How long the pump took to pass on what it found in the rings",
        None,
        &cells.drains,
    ));
    for (exporter, meter) in cells.meters() {
        let read = meter.read();
        let duration = times(
            "throughline.pump.request.duration",
            "How long a request took, or writing a batch",
            Some(&exporter),
            &meter.requests,
        );
        if duration.is_none() && read.queued_bytes == 0 {
            continue;
        }
        points.extend(duration);
        let gauge = |n: u64| Data::GaugeInt(i64::try_from(n).unwrap_or(i64::MAX));
        let counts = [
            (
                "queue.records",
                "{record}",
                "Records that wait for the exporter or are being delivered",
                gauge(read.queued_records),
            ),
            ("queue.size", "By", "Bytes of the batches that wait", gauge(read.queued_bytes)),
            ("batches", "{batch}", "Batches that were delivered", Data::Counter(read.batches)),
            ("sent", "By", "Bytes of the batches that were delivered", Data::Counter(read.bytes)),
            ("retries", "{request}", "Requests that repeated an earlier one", Data::Counter(read.retries)),
        ];
        for (name, unit, description, data) in counts {
            points.push(point(&format!("throughline.pump.{name}"), unit, description, Some(&exporter), data));
        }
    }
    for (exporter, hop) in cells.read().exporters {
        if hop.input > 0 {
            let description = "Records that wait on the disk until they can be delivered";
            let waiting = Data::GaugeInt(i64::try_from(hop.spooled).unwrap_or(i64::MAX));
            points.push(point(
                "throughline.pump.spool.records",
                "{record}",
                description,
                Some(&exporter),
                waiting,
            ));
        }
        for (reason, n) in hop.dropped {
            let description = "Records that an exporter did not deliver, by reason";
            let name = "throughline.pump.dropped";
            let mut dropped = point(name, "{record}", description, Some(&exporter), Data::Counter(n));
            dropped.labels.push(("reason", Cow::Borrowed(reason.as_str())));
            points.push(dropped);
        }
    }
    // Series of one metric must be together.
    points.sort_by(|a, b| a.name.cmp(&b.name));
    points
}

fn times(name: &str, description: &'static str, exporter: Option<&str>, times: &Times) -> Option<Point> {
    let histogram = Histogram::of_times(times)?;
    Some(point(name, "s", description, exporter, Data::Histogram(histogram)))
}

fn point(
    name: &str,
    unit: &'static str,
    description: &'static str,
    exporter: Option<&str>,
    data: Data,
) -> Point {
    Point {
        name: Cow::Owned(name.to_owned()),
        unit,
        description,
        scope: Scope::OWN,
        target: module_path!(),
        labels: exporter.map(|exporter| ("exporter", Cow::Owned(exporter.to_owned()))).into_iter().collect(),
        data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_on_the_disk_is_a_metric_of_its_exporter_from_its_first_record_on() {
        let cells = Cells::default();
        let waiting = || {
            let points = of_pump(&cells, 0.0);
            let of_name = points.into_iter().filter(|point| point.name == "throughline.pump.spool.records");
            of_name.map(|point| (point.labels[0].1.to_string(), point.data)).collect::<Vec<_>>()
        };
        let (traces, _logs) = (cells.exporter("otlp.traces"), cells.exporter("otlp.logs"));
        assert_eq!(waiting(), []);
        traces.input(10);
        assert_eq!(waiting(), [("otlp.traces".into(), Data::GaugeInt(0))]);
        traces.spooled(7);
        assert_eq!(waiting(), [("otlp.traces".into(), Data::GaugeInt(7))]);
        traces.unspooled(7);
        traces.output(10);
        assert_eq!(waiting(), [("otlp.traces".into(), Data::GaugeInt(0))]);
    }
}
