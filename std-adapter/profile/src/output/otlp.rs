//! OTLP profiles, `opentelemetry/proto/profiles/v1development/profiles.proto` of opentelemetry-proto 1.10, which may
//! still change.

use super::proto::Message;
use super::{Location, Report};
use crate::profile::Kind;
use crate::stack::{Labels, Module};
use crate::symbols::Function;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::time::UNIX_EPOCH;

impl Report {
    /// The body of a request to `/v1development/profiles`, for the header `OTLP-Profiles-Development-Version: 1`. It has one
    /// profile for each measure. Samples in spans link to them. `resource` has the attributes of the service.
    pub fn otlp(&self, resource: &[(String, String)]) -> Vec<u8> {
        let mut tables = Tables::default();
        let mappings: Vec<u64> = self.profile.modules.iter().map(|it| tables.mapping(it)).collect();
        let samples: Vec<_> = self
            .profile
            .samples
            .iter()
            .map(|sample| self.key(sample.stack, sample.labels, &mappings, &mut tables))
            .collect();
        let mut scope_profiles = Message::new();
        let mut scope = Message::new();
        scope.bytes(1, b"throughline");
        scope.bytes(2, env!("CARGO_PKG_VERSION").as_bytes());
        scope_profiles.message(1, &scope);
        for measure in 0..self.profile.measures().len() {
            scope_profiles.message(2, &self.one_measure(measure, &samples, &mut tables));
        }
        let mut attributes = Message::new();
        for (key, value) in resource {
            let mut pair = Message::new();
            pair.bytes(1, key.as_bytes());
            pair.message(2, &text(value));
            attributes.message(1, &pair);
        }
        let mut resource_profiles = Message::new();
        resource_profiles.message(1, &attributes);
        resource_profiles.message(2, &scope_profiles);
        let mut request = Message::new();
        request.message(1, &resource_profiles);
        request.message(2, &tables.dictionary());
        request.into_bytes()
    }

    /// A profile of one measure: the samples of the same place, labels and link are one.
    fn one_measure(&self, measure: usize, samples: &[SampleKey], tables: &mut Tables) -> Message {
        let (name, unit) = self.profile.measures()[measure];
        let mut sums = BTreeMap::<&SampleKey, u64>::new();
        for (key, sample) in samples.iter().zip(&self.profile.samples) {
            *sums.entry(key).or_default() += sample.values[measure];
        }
        let mut message = Message::new();
        message.message(1, &tables.value_type(name, unit));
        for ((stack, attributes, link), value) in sums.into_iter().filter(|(_, value)| *value > 0) {
            let mut sample = Message::new();
            sample.number(1, *stack);
            sample.packed_unless_empty(2, attributes);
            sample.number(3, *link);
            sample.packed(4, [value]);
            message.message(2, &sample);
        }
        let started = self.profile.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        message.fixed(3, started.as_nanos() as u64);
        message.number(4, self.profile.duration.as_nanos() as u64);
        let (period_type, period) = match self.profile.kind {
            Kind::Cpu(sampling) => {
                (("cpu", "nanoseconds"), 1_000_000_000 / u64::from(sampling.frequency.max(1)))
            }
            Kind::Heap { interval } => (("space", "bytes"), interval),
            Kind::Wall => (("wall", "nanoseconds"), 1),
        };
        message.message(5, &tables.value_type(period_type.0, period_type.1));
        message.number(6, period);
        // An id that no other profile has.
        let random = [0, 1].map(|half| RandomState::new().hash_one((started, half)).to_be_bytes());
        message.bytes(7, random.as_flattened());
        message
    }

    fn key(&self, stack: u32, labels: Labels, mappings: &[u64], tables: &mut Tables) -> SampleKey {
        let locations = &self.stacks[stack as usize];
        let locations: Vec<u64> = locations.iter().map(|it| tables.location(it, mappings)).collect();
        let mut message = Message::new();
        message.packed_unless_empty(1, &locations);
        let stack = tables.stacks.index(message);
        let mut attributes = Vec::new();
        if let Some((id, name)) = self.thread(labels) {
            attributes.push(tables.attribute("thread.name", &text(name)));
            attributes.push(tables.attribute("thread.id", &integer(id.cast_unsigned().into())));
        }
        for (key, value) in self.label_set(labels) {
            attributes.push(tables.attribute(key, &text(value)));
        }
        let mut link = Message::new();
        if let Some((trace, span)) = labels.place {
            link.bytes(1, &trace.to_bytes());
            link.bytes(2, &span.to_bytes());
        }
        (stack, attributes, tables.links.index(link))
    }
}

/// The numbers of a stack, of attributes and of a link in their tables.
type SampleKey = (u64, Vec<u64>, u64);

/// A table of messages in which each is once, and the first is the empty one, as the format wants it.
struct Table(Vec<Message>, HashMap<Message, u64>);

impl Default for Table {
    fn default() -> Table {
        Table(vec![Message::new()], HashMap::from([(Message::new(), 0)]))
    }
}

impl Table {
    fn index(&mut self, message: Message) -> u64 {
        *self.1.entry(message).or_insert_with_key(|message| {
            self.0.push(message.clone());
            self.0.len() as u64 - 1
        })
    }
}

/// The tables that samples refer to.
#[derive(Default)]
struct Tables {
    mappings: Table,
    locations: Table,
    functions: Table,
    links: Table,
    strings: Table,
    attributes: Table,
    stacks: Table,
}

impl Tables {
    fn string(&mut self, text: &str) -> u64 {
        self.strings.index(Message::of(text.as_bytes()))
    }

    fn value_type(&mut self, name: &str, unit: &str) -> Message {
        let mut message = Message::new();
        message.number(1, self.string(name));
        message.number(2, self.string(unit));
        message
    }

    fn attribute(&mut self, key: &str, value: &Message) -> u64 {
        let mut message = Message::new();
        message.number(1, self.string(key));
        message.message(2, value);
        self.attributes.index(message)
    }

    fn mapping(&mut self, module: &Module) -> u64 {
        let mut message = Message::new();
        message.number(1, module.code.start);
        message.number(2, module.code.end);
        message.number(3, module.code.start.wrapping_sub(module.bias));
        message.number(4, self.string(&module.name));
        if !module.build_id.is_empty() {
            let hex: String = module.build_id.iter().map(|byte| format!("{byte:02x}")).collect();
            let build_id = self.attribute("process.executable.build_id.gnu", &text(&hex));
            message.packed(5, [build_id]);
        }
        self.mappings.index(message)
    }

    fn location(&mut self, location: &Location, mappings: &[u64]) -> u64 {
        let mut message = Message::new();
        if let Some(frame) = location.frame {
            message.number(1, frame.module.map_or(0, |index| mappings[index as usize]));
            message.number(2, frame.address);
        }
        for function in location.functions.iter() {
            let mut line = Message::new();
            line.number(1, self.function(function));
            line.number(2, function.line.into());
            message.message(3, &line);
        }
        if location.frame.is_some() {
            let native = self.attribute("profile.frame.type", &text("native"));
            message.packed(4, [native]);
        }
        self.locations.index(message)
    }

    fn function(&mut self, function: &Function) -> u64 {
        let mut message = Message::new();
        message.number(1, self.string(&function.name));
        message.number(2, self.string(function.system_name.as_deref().unwrap_or_default()));
        message.number(3, self.string(function.file.as_deref().unwrap_or_default()));
        self.functions.index(message)
    }

    fn dictionary(&self) -> Message {
        let mut dictionary = Message::new();
        let tables = [
            &self.mappings,
            &self.locations,
            &self.functions,
            &self.links,
            &self.strings,
            &self.attributes,
            &self.stacks,
        ];
        for (field, table) in (1..).zip(tables) {
            table.0.iter().for_each(|message| dictionary.message(field, message));
        }
        dictionary
    }
}

/// An `AnyValue` of a text.
fn text(value: &str) -> Message {
    let mut message = Message::new();
    message.bytes(1, value.as_bytes());
    message
}

/// An `AnyValue` of a number.
fn integer(value: u64) -> Message {
    let mut message = Message::new();
    message.present(3, value);
    message
}
