//! The device of the golden captures: a battery monitor that uses everything in wire format 1.
#![allow(dead_code, unreachable_pub, missing_docs)] // Each test binary uses a part of it.

use super::{BUILD_ID, Device, F, M, RODATA, Rec, Site, elf};

pub const STRINGS: &str = "chargerbalancer";
pub const CHARGER: F = F::Static(RODATA as u64, 7);
pub const BALANCER: F = F::Static(RODATA as u64 + 7, 8);

/// Ids of the callsites, in the order of [`sites`].
#[derive(Clone, Copy, Debug)]
pub struct Ids {
    pub measure: u64,
    pub adc: u64,
    pub upload: u64,
    pub low: u64,
    pub tick: u64,
    pub retries: u64,
    pub samples: u64,
    pub active: u64,
    pub cell_temp: u64,
    pub volts: u64,
    pub charge: u64,
    pub latency: u64,
    pub by_code: u64,
}

pub fn sites() -> Vec<Site> {
    let site = |kind, level, name, fields| Site { kind, level, name, fields, line: 10, ..Site::default() };
    vec![
        Site { line: 41, ..site(0, 3, "measure", &["cell", "source"]) },
        Site { line: 57, ..site(0, 2, "adc", &[]) },
        Site { line: 80, span_kind: 2, ..site(0, 3, "upload", &["host", "bytes", "ok", "delta"]) },
        Site { line: 44, ..site(1, 4, "cell {cell} is low: {} V", &["volt", "cell"]) },
        Site { line: 90, ..site(1, 3, "tick {{idle}}", &[]) },
        Site { line: 83, ..site(2, 0, "", &["retries"]) },
        Site {
            unit: "{sample}",
            description: "ADC samples taken",
            labels: &[("adc", "1")],
            ..site(3, 0, "adc.samples", &[])
        },
        site(4, 0, "uploads.active", &[]),
        Site { unit: "Cel", ..site(5, 0, "cell.temperature", &[]) },
        Site { unit: "V", param: 1, ..site(5, 0, "pack.voltage", &[]) },
        Site { unit: "C", param: 2, ..site(5, 0, "pack.charge", &[]) },
        Site {
            unit: "us",
            param: 1,
            description: "Time to sample all cells",
            ..site(6, 0, "adc.latency", &[])
        },
        Site { unit: "{response}", ..site(3, 0, "upload.responses", &["code"]) },
    ]
}

pub fn program() -> (Vec<u8>, Ids) {
    let (file, ids) = elf(Some(&sites()), STRINGS, &BUILD_ID);
    let [
        measure,
        adc,
        upload,
        low,
        tick,
        retries,
        samples,
        active,
        cell_temp,
        volts,
        charge,
        latency,
        by_code,
    ] = ids.try_into().expect("thirteen callsites");
    let ids = Ids {
        measure,
        adc,
        upload,
        low,
        tick,
        retries,
        samples,
        active,
        cell_temp,
        volts,
        charge,
        latency,
        by_code,
    };
    (file, ids)
}

pub fn span(callsite: u64, (id, parent, root): (u64, Option<u64>, u64), start: u64, duration: u64) -> Rec {
    Rec::Span { callsite, id, parent, root, start, duration, status: 0, busy: None, fields: vec![] }
}

fn with(rec: Rec, new_status: u8, new_busy: Option<u64>, new_fields: Vec<F>) -> Rec {
    match rec {
        Rec::Span { callsite, id, parent, root, start, duration, .. } => Rec::Span {
            callsite,
            id,
            parent,
            root,
            start,
            duration,
            status: new_status,
            busy: new_busy,
            fields: new_fields,
        },
        other => other,
    }
}

/// One round of measuring: a tree of three spans and an event, which starts at `at` with ids from `id`.
pub fn round(ids: &Ids, at: u64, id: u64) -> Vec<Rec> {
    let root = with(
        span(ids.measure, (id, None, id), at, 1_240),
        0,
        None,
        vec![F::U32(3), if id.is_multiple_of(2) { CHARGER } else { BALANCER }],
    );
    vec![
        span(ids.adc, (id + 1, Some(id), id), at + 20, 310),
        Rec::Event {
            callsite: ids.low,
            time: at + 400,
            span: Some((id, id)),
            fields: vec![F::F32(2.75), F::U32(3)],
        },
        with(span(ids.adc, (id + 2, Some(id), id), at + 600, 295), 2, None, vec![]),
        root,
    ]
}

pub const REMOTE_TRACE: [u8; 16] = *b"\x4b\xf9\x2f\x35\x77\xb3\x4d\xa6\xa3\xce\x92\x9d\x0e\x0e\x47\x36";
pub const REMOTE_SPAN: [u8; 8] = *b"\x00\xf0\x67\xaa\x0b\xa9\x02\xb7";

/// A stream with every kind of record, every flag, every field type, every metric shape, a wrap, a loss and a
/// reset.
pub fn everything(bits: u32) -> Device {
    let (_, ids) = program();
    let mut d = Device::new(bits);
    d.unix = (1_700_000_000_000_000_000, 500);
    d.preamble();
    let mut first = vec![Rec::Clock(1_000)];
    first.extend(round(&ids, 1_000, 10));
    first.push(Rec::Event { callsite: ids.tick, time: 2_500, span: None, fields: vec![] });
    d.batch(900, 10, &first);
    // The upload is part of a remote caller's trace. The attach record comes after it, because writers raced.
    // Fields come before their span.
    let upload = with(
        span(ids.upload, (31, Some(30), 30), 3_000, 8_000),
        1,
        Some(1_500),
        vec![F::Text("dépôt.example".into(), true), F::U64(1 << 40), F::Bool(true), F::I64(-(1 << 40))],
    );
    let attach = Rec::Attach { time: 2_990, id: 30, trace_id: REMOTE_TRACE, span_id: REMOTE_SPAN, flags: 1 };
    let retries =
        Rec::Fields { callsite: ids.retries, time: 5_000, span: (31, 30), fields: vec![F::I32(-2)] };
    d.batch(2_900, 20, &[retries, upload, attach]);
    // Losses on the device, then fields of all remaining types at an unknown callsite.
    d.lost += 37;
    let odd = vec![F::F64(0.1), F::Bytes(vec![0, 255], true), F::Postcard(vec![1, 2, 3], false)];
    let unknown = Rec::Event { callsite: 0x7777, time: 12_100, span: None, fields: odd };
    let loss = |reason, count, first| Rec::Loss { reason, count, first };
    d.batch(12_000, 40, &[loss(0, 30, 11_000), loss(1, 6, 11_500), loss(2, 1, 11_900), unknown]);
    d.batch(13_000, 40, &round(&ids, 13_000, 40));
    let cell = |n: u64| if bits == 32 { n & 0xffff_ffff } else { n };
    let near = cell(u64::MAX - 4);
    let family = |code: &'static str| vec![code];
    let histogram = |sum, zeros, first, buckets: &[u64]| M::Histogram {
        scale: 1,
        sum,
        zeros,
        first,
        buckets: buckets.to_vec(),
    };
    let (ok, failed) = (family("200"), family("503"));
    d.metrics(
        0,
        false,
        15_000,
        &[
            (ids.samples, 0, &[], M::Counter(near)),
            (ids.active, 0, &[], M::UpDown(-3)),
            (ids.cell_temp, 0, &[], M::GaugeInt(-40)),
            (ids.volts, 0, &[], M::GaugeF32(48.5)),
            (ids.charge, 0, &[], M::GaugeF64(123.25)),
            (ids.by_code, 0, &ok, M::Counter(7)),
            (ids.by_code, 0, &failed, M::Counter(1)),
            (ids.by_code, 0x40, &[], M::Counter(2)),
            (ids.latency, 0, &[], histogram(100, 1, 13, &[1, 0, 2])),
        ],
    );
    d.metrics(0, true, 15_000, &[(ids.latency, 0, &[], histogram(3_000, 0, 16, &[1, 9, 4]))]);
    // The counter has wrapped since the last snapshot.
    d.metrics(
        1,
        true,
        16_000,
        &[
            (ids.samples, 0, &[], M::Counter(cell(near.wrapping_add(10)))),
            (ids.latency, 0, &[], histogram(3_400, 1, 13, &[1, 0, 2, 1, 10, 4])),
        ],
    );
    d.unix = (0, 0);
    d.reset(1);
    d.preamble();
    d.batch(100, 10, &round(&ids, 200, 10));
    d
}

/// The same stream over a bad link: one frame lost, one with a flipped bit, noise before another, and the
/// last one cut.
pub fn damaged() -> Vec<u8> {
    let mut device = everything(32);
    let (_, ids) = program();
    device.batch(3_000, 50, &round(&ids, 3_000, 50));
    device.batch(5_000, 60, &round(&ids, 5_000, 60));
    let (mut wire, frames) = (device.wire.clone(), &device.frames);
    wire.truncate(frames[frames.len() - 1].0.end - 5);
    // Damage the stream from its end, so that earlier offsets stay valid.
    let reset = &frames[8].0;
    wire.splice(reset.start..reset.start, *b"\x01noise\x00");
    wire[frames[3].0.start + 9] ^= 0x40;
    wire.drain(frames[1].0.clone());
    wire
}
