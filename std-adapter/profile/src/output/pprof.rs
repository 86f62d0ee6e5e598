//! The profile format of `go tool pprof`, Pyroscope, speedscope and many others: `profile.proto` of
//! <https://github.com/google/pprof/tree/main/proto>, compressed by gzip.

use super::proto::Message;
use super::{Location, Report};
use crate::profile::Kind;
use crate::stack::Frame;
use std::collections::HashMap;
use std::io::Write;
use std::rc::Rc;
use std::time::UNIX_EPOCH;

impl Report {
    /// The profile for `go tool pprof` and other tools that read pprof, compressed. Samples have the labels `thread`,
    /// `thread_id`, `trace_id` and
    /// `span_id`, and those of [`Profile::label_spans`](crate::Profile::label_spans).
    pub fn pprof(&self) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        // Writing into memory cannot fail.
        let _ = encoder.write_all(&self.uncompressed_pprof());
        encoder.finish().unwrap_or_default()
    }

    pub(super) fn uncompressed_pprof(&self) -> Vec<u8> {
        let mut out = Writer::new(self);
        let profile = &self.profile;
        let measures: Vec<Message> =
            profile.measures().iter().map(|(name, unit)| out.pair(name, unit)).collect();
        let mut message = Message::new();
        measures.iter().for_each(|measure| message.message(1, measure));
        for sample in &profile.samples {
            let mut line = Message::new();
            line.packed(1, self.stacks[sample.stack as usize].iter().map(|location| out.location(location)));
            line.packed(2, sample.values[..measures.len()].iter().copied());
            if let Some((id, name)) = self.thread(sample.labels) {
                line.message(3, &out.pair("thread", name));
                line.message(3, &out.number_label("thread_id", id.cast_unsigned().into()));
            }
            if let Some((trace, span)) = sample.labels.place {
                line.message(3, &out.pair("trace_id", &trace.to_string()));
                line.message(3, &out.pair("span_id", &span.to_string()));
            }
            for (key, value) in self.label_set(sample.labels) {
                line.message(3, &out.pair(key, value));
            }
            message.message(2, &line);
        }
        (1..).zip(&profile.modules).for_each(|(id, module)| message.message(3, &out.mapping(id, module)));
        let (period_type, period) = match profile.kind {
            Kind::Cpu(sampling) => {
                (out.pair("cpu", "nanoseconds"), 1_000_000_000 / u64::from(sampling.frequency.max(1)))
            }
            Kind::Heap { interval } => (out.pair("space", "bytes"), interval),
            Kind::Wall => (out.pair("wall", "nanoseconds"), 1),
        };
        let comment = out.string(&self.summary());
        let default_measure = out.string(self.measure_name().0);
        out.locations.iter().for_each(|location| message.message(4, location));
        out.functions.iter().for_each(|function| message.message(5, function));
        let started = profile.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        message.number(9, started.as_nanos() as u64);
        message.number(10, profile.duration.as_nanos() as u64);
        message.message(11, &period_type);
        message.number(12, period);
        message.number(13, comment);
        message.number(14, default_measure);
        out.strings.iter().for_each(|string| message.bytes(6, string.as_bytes()));
        message.into_bytes()
    }
}

/// The tables that samples refer to.
struct Writer<'a> {
    report: &'a Report,
    strings: Vec<Rc<str>>,
    string_numbers: HashMap<Rc<str>, u64>,
    functions: Vec<Message>,
    /// By name and file.
    function_numbers: HashMap<(u64, u64), u64>,
    locations: Vec<Message>,
    location_numbers: HashMap<Frame, u64>,
    /// Locations without an address, by name.
    marker_numbers: HashMap<u64, u64>,
}

impl Writer<'_> {
    fn new(report: &Report) -> Writer<'_> {
        let mut writer = Writer {
            report,
            strings: Vec::new(),
            string_numbers: HashMap::new(),
            functions: Vec::new(),
            function_numbers: HashMap::new(),
            locations: Vec::new(),
            location_numbers: HashMap::new(),
            marker_numbers: HashMap::new(),
        };
        // The format wants the empty string first.
        writer.string("");
        writer
    }

    fn string(&mut self, text: &str) -> u64 {
        if let Some(number) = self.string_numbers.get(text) {
            return *number;
        }
        let (number, text) = (self.strings.len() as u64, Rc::<str>::from(text));
        self.strings.push(Rc::clone(&text));
        self.string_numbers.insert(text, number);
        number
    }

    /// Two texts: a `ValueType`'s name and unit, or a `Label`'s key and value.
    fn pair(&mut self, first: &str, second: &str) -> Message {
        let mut message = Message::new();
        message.number(1, self.string(first));
        message.number(2, self.string(second));
        message
    }

    fn number_label(&mut self, key: &str, value: u64) -> Message {
        let mut message = Message::new();
        message.number(1, self.string(key));
        message.number(3, value);
        message
    }

    fn mapping(&mut self, id: u64, module: &crate::stack::Module) -> Message {
        let build_id: String = module.build_id.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut message = Message::new();
        message.number(1, id);
        message.number(2, module.code.start);
        message.number(3, module.code.end);
        // The format wants the place in the file; the linker gives code the same place there as in its own addresses, or
        // less than a page beside it. Readers use it only to find names, and all names are here.
        message.number(4, module.code.start.wrapping_sub(module.bias));
        message.number(5, self.string(&module.name));
        message.number(6, self.string(&build_id));
        // Functions, files, lines and inlined frames are known.
        (7..=10).for_each(|field| message.number(field, 1));
        message
    }

    fn location(&mut self, location: &Location) -> u64 {
        let next = self.locations.len() as u64 + 1;
        let number = match location.frame {
            Some(frame) => *self.location_numbers.entry(frame).or_insert(next),
            None => {
                let name = self.string(&location.functions[0].name);
                *self.marker_numbers.entry(name).or_insert(next)
            }
        };
        if number < next {
            return number;
        }
        let mut message = Message::new();
        message.number(1, number);
        if let Some(frame) = location.frame {
            let bias = frame.module.map_or(0, |index| self.report.profile.modules[index as usize].bias);
            message.number(2, frame.module.map_or(0, |index| u64::from(index) + 1));
            message.number(3, frame.address.wrapping_add(bias));
        }
        for function in location.functions.iter() {
            let mut line = Message::new();
            line.number(1, self.function(function));
            line.number(2, function.line.into());
            message.message(4, &line);
        }
        self.locations.push(message);
        number
    }

    fn function(&mut self, function: &crate::symbols::Function) -> u64 {
        let name = self.string(&function.name);
        let file = self.string(function.file.as_deref().unwrap_or_default());
        let next = self.functions.len() as u64 + 1;
        let number = *self.function_numbers.entry((name, file)).or_insert(next);
        if number == next {
            let mut message = Message::new();
            message.number(1, number);
            message.number(2, name);
            message.number(3, self.string(function.system_name.as_ref().unwrap_or(&function.name)));
            message.number(4, file);
            self.functions.push(message);
        }
        number
    }
}
