//! Records in a form in which decoded and encoded ones can be compared.
#![allow(dead_code, unreachable_pub, missing_docs)] // Each test binary uses a part of it.

use throughline::Status;
use throughline_decode::{Decoder, Item, OwnedValue, TimeOptions};

use super::{F, Rec};

/// A record as a reader of items sees it. Both decoded and encoded records are converted to this.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    Span(u64, (u64, Option<u64>, u64), (u64, u64), Status, Option<u64>, Vec<OwnedValue>),
    Event(u64, u64, Option<(u64, u64)>, Vec<OwnedValue>),
    Fields(u64, u64, Option<(u64, u64)>, Vec<OwnedValue>),
    Attach(u64, u64, String),
    Clock(u64),
    Loss(u64, u64),
}

impl Seen {
    pub fn of(item: &Item<'_, '_>) -> Option<Seen> {
        let values = |fields: throughline_decode::Fields<'_, '_>| fields.map(|(_, v)| v.into()).collect();
        Some(match item {
            Item::Span(s) => Seen::Span(
                s.callsite.id,
                (s.id, s.parent, s.root),
                (s.start, s.duration),
                s.status,
                s.busy,
                values(s.fields),
            ),
            Item::Event(e) => Seen::Event(e.callsite.id, e.time, e.span, values(e.fields)),
            Item::Fields(e) => Seen::Fields(e.callsite.id, e.time, e.span, values(e.fields)),
            Item::Attach(a) => Seen::Attach(a.time, a.id, format!("{:?}", a.remote)),
            Item::Clock(ticks) => Seen::Clock(*ticks),
            Item::Loss(loss) => Seen::Loss(loss.count, loss.first),
            _ => return None,
        })
    }

    pub fn expected(record: &Rec) -> Seen {
        let values = |fields: &[F]| fields.iter().map(owned).collect();
        match record {
            Rec::Span { callsite, id, parent, root, start, duration, status, busy, fields } => Seen::Span(
                *callsite,
                (*id, *parent, *root),
                (*start, *duration),
                [Status::Unset, Status::Ok, Status::Error, Status::Cancelled][usize::from(*status)],
                *busy,
                values(fields),
            ),
            Rec::Event { callsite, time, span, fields } => {
                Seen::Event(*callsite, *time, *span, values(fields))
            }
            Rec::Fields { callsite, time, span, fields } => {
                Seen::Fields(*callsite, *time, Some(*span), values(fields))
            }
            Rec::Attach { time, id, trace_id, span_id, flags } => {
                let hex = |b: &[u8]| b.iter().map(|b| format!("{b:02x}")).collect::<String>();
                let (t, s) = (hex(trace_id), hex(span_id));
                let zero = *trace_id == [0; 16] || *span_id == [0; 8];
                let some = format!("Some(TraceContext {{ trace_id: {t}, span_id: {s}, flags: {flags} }})");
                Seen::Attach(*time, *id, if zero { "None".to_owned() } else { some })
            }
            Rec::Clock(ticks) => Seen::Clock(*ticks),
            Rec::Loss { count, first, .. } => Seen::Loss(*count, *first),
            Rec::Extended { .. } => unreachable!("an unknown kind is skipped"),
            Rec::Raw(..) => unreachable!("raw bytes are nothing to be seen"),
        }
    }
}

fn owned(field: &F) -> OwnedValue {
    match field.clone() {
        F::Bool(v) => OwnedValue::Bool(v),
        F::U32(n) => OwnedValue::U64(n.into()),
        F::I32(n) => OwnedValue::I64(n.into()),
        F::U64(n) => OwnedValue::U64(n),
        F::I64(n) => OwnedValue::I64(n),
        F::F32(x) => OwnedValue::F32(x),
        F::F64(x) => OwnedValue::F64(x),
        F::Static(..) => OwnedValue::Str(throughline_decode::fields::UNRESOLVED.into(), true),
        F::Text(text, cut) => OwnedValue::Str(text.into(), cut),
        F::Bytes(bytes, cut) => OwnedValue::Bytes(bytes.into(), cut),
        F::Postcard(bytes, cut) => OwnedValue::Postcard(bytes.into(), cut),
    }
}

/// Decodes a whole capture in chunks of `chunk` bytes, without an ELF.
pub fn decode(wire: &[u8], chunk: usize) -> (Vec<Seen>, Decoder<'static>) {
    let mut decoder = Decoder::new(None, TimeOptions::default());
    let mut seen = Vec::new();
    let mut sink = |_: &throughline_decode::Context, item: Item<'static, '_>| seen.extend(Seen::of(&item));
    wire.chunks(chunk.max(1)).for_each(|bytes| decoder.push(bytes, None, &mut sink));
    decoder.finish(&mut sink);
    (seen, decoder)
}
