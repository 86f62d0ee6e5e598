//! A callsite's description as bytes. A `const fn` writes it into a link section, and one parser reads it on
//! servers and hosts. The layout is §6 of `core/docs/wire-format.md`.

use crate::{Level, SpanKind};

/// The first byte of every blob: format 2.
pub const MAGIC: u8 = 0xA2;
/// The first byte of a blob of format 1, which has no package and version at its end.
const MAGIC_1: u8 = 0xA1;
/// Length of the header before the strings, in bytes.
pub const HEADER: usize = 12;
/// The most fields of one span or event, and the most labels of one metric.
pub const MAX_FIELDS: usize = 15;

/// The kind of record or metric that a callsite makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A span.
    Span = 0,
    /// An event, that is, a log record.
    Event = 1,
    /// Fields added to a span after it began.
    Fields = 2,
    /// A monotonic counter.
    Counter = 3,
    /// A counter that may go down.
    UpDownCounter = 4,
    /// A last value.
    Gauge = 5,
    /// An exponential histogram.
    Histogram = 6,
}

impl Kind {
    const fn from_u8(n: u8) -> Option<Kind> {
        Some(match n {
            0 => Kind::Span,
            1 => Kind::Event,
            2 => Kind::Fields,
            3 => Kind::Counter,
            4 => Kind::UpDownCounter,
            5 => Kind::Gauge,
            6 => Kind::Histogram,
            _ => return None,
        })
    }
}

/// The description of a callsite. The macros fill it in at compile time, and bridges at run time.
#[derive(Clone, Copy, Debug)]
pub struct Meta<'a> {
    /// The kind of record or metric.
    pub kind: Kind,
    /// The severity; 0 for metrics.
    pub level: u8,
    /// The role of a span; `Internal` for everything else.
    pub span_kind: SpanKind,
    /// The value type of a gauge or counter, or the parameters of a histogram; see §6.
    pub param: u8,
    /// The name of the span or metric, or the message of the event.
    pub name: &'a str,
    /// Module path.
    pub target: &'a str,
    /// The Cargo package of the instrumented code; empty when another tool builds it.
    pub package: &'a str,
    /// The package's version, or empty.
    pub version: &'a str,
    /// Source file.
    pub file: &'a str,
    /// Source line.
    pub line: u32,
    /// The unit of a metric in UCUM, such as `ms` or `By`; for an event, its name if it has one.
    pub unit: &'a str,
    /// The description of a metric.
    pub description: &'a str,
    /// The names of fields, or the keys of run-time labels.
    pub fields: &'a [&'a str],
    /// The constant labels: key, value.
    pub labels: &'a [(&'a str, &'a str)],
}

impl Meta<'static> {
    /// An empty description, for struct update syntax.
    pub const EMPTY: Meta<'static> = Meta {
        kind: Kind::Span,
        level: 0,
        span_kind: SpanKind::Internal,
        param: 0,
        name: "",
        target: "",
        package: "",
        version: "",
        file: "",
        line: 0,
        unit: "",
        description: "",
        fields: &[],
        labels: &[],
    };
}

impl<'a> Meta<'a> {
    /// Sets the package in which the callsite is compiled, from Cargo's environment variables. The macros
    /// call this.
    #[doc(hidden)]
    pub const fn in_package(mut self, package: Option<&'a str>, version: Option<&'a str>) -> Meta<'a> {
        // Callsites that bridges make at run time do not come here: their names are not this program's.
        assert!(
            !self.name.is_empty() || matches!(self.kind, Kind::Event | Kind::Fields),
            "the name of a span or a metric must not be empty: nobody could find it"
        );
        if let Some(package) = package {
            self.package = package;
        }
        if let Some(version) = version {
            self.version = version;
        }
        self
    }

    /// Fails to compile if two labels have the same key.
    pub const fn with_checked_labels(self) -> Meta<'a> {
        let mut i = 0;
        while i < self.labels.len() + self.fields.len() {
            let mut j = 0;
            while j < i {
                assert!(
                    !is_equal(self.label_key(i), self.label_key(j)),
                    "two labels of this metric have the same key: give each key once"
                );
                j += 1;
            }
            i += 1;
        }
        self
    }

    /// Key `i` of all labels, the constant labels first and then the run-time ones.
    const fn label_key(&self, i: usize) -> &'a str {
        if i < self.labels.len() { self.labels[i].0 } else { self.fields[i - self.labels.len()] }
    }

    /// The length of the blob in bytes. Fails to compile if there are more than 15 fields or labels.
    pub const fn encoded_len(&self) -> usize {
        assert!(self.fields.len() <= MAX_FIELDS, "a span, event or metric can have at most 15 fields");
        assert!(self.labels.len() <= MAX_FIELDS, "a metric can have at most 15 constant labels");
        let mut n = HEADER + 2 * (7 + self.fields.len() + 2 * self.labels.len());
        n += self.package.len()
            + self.version.len()
            + self.name.len()
            + self.target.len()
            + self.file.len()
            + self.unit.len()
            + self.description.len();
        let mut i = 0;
        while i < self.fields.len() {
            n += self.fields[i].len();
            i += 1;
        }
        i = 0;
        while i < self.labels.len() {
            n += self.labels[i].0.len() + self.labels[i].1.len();
            i += 1;
        }
        n
    }

    /// Encodes the blob. `N` must be [`Meta::encoded_len`].
    pub const fn blob<const N: usize>(&self) -> [u8; N] {
        assert!(N <= u16::MAX as usize, "the texts of a callsite must be shorter than 64 KiB in total");
        let mut b = [0; N];
        self.write(&mut b);
        b
    }

    /// Encodes the blob into zeroed bytes, [`Meta::encoded_len`] of them.
    pub(crate) const fn write(&self, b: &mut [u8]) {
        let len = b.len();
        b[0] = MAGIC;
        b[1] = self.kind as u8;
        b[2] = self.level | (self.span_kind as u8) << 4;
        b[3] = self.param;
        (b[4], b[5]) = (len as u8, (len >> 8) as u8);
        let line = self.line.to_le_bytes();
        (b[6], b[7], b[8], b[9]) = (line[0], line[1], line[2], line[3]);
        b[10] = self.fields.len() as u8;
        b[11] = self.labels.len() as u8;
        let mut at = HEADER;
        let strings = [self.name, self.target, self.file, self.unit, self.description];
        let mut i = 0;
        while i < strings.len() {
            at = put(b, at, strings[i]);
            i += 1;
        }
        i = 0;
        while i < self.fields.len() {
            at = put(b, at, self.fields[i]);
            i += 1;
        }
        i = 0;
        while i < self.labels.len() {
            at = put(b, at, self.labels[i].0);
            at = put(b, at, self.labels[i].1);
            i += 1;
        }
        at = put(b, at, self.package);
        at = put(b, at, self.version);
        assert!(at == len, "the length must be Meta::encoded_len()");
    }
}

const fn is_equal(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut i = 0;
    while i < a.len() && i < b.len() && a[i] == b[i] {
        i += 1;
    }
    i == a.len() && i == b.len()
}

const fn put(b: &mut [u8], mut at: usize, s: &str) -> usize {
    let s = s.as_bytes();
    b[at] = s.len() as u8;
    b[at + 1] = (s.len() >> 8) as u8;
    at += 2;
    let mut i = 0;
    while i < s.len() {
        b[at + i] = s[i];
        i += 1;
    }
    at + s.len()
}

/// A parsed blob that borrows its texts. [`Blob::parse`] makes it from a program's own memory or from an
/// ELF's section.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Blob<'a> {
    /// The kind of record or metric that the callsite makes.
    pub kind: Kind,
    /// The severity; `None` for metrics.
    pub level: Option<Level>,
    /// The role of a span.
    pub span_kind: SpanKind,
    /// The value type of a gauge or counter (0 integer, 1 `f32`, 2 `f64`), or the parameters of a histogram;
    /// see §6.
    pub param: u8,
    /// Source line.
    pub line: u32,
    /// The length of the blob in bytes. The next blob may follow directly.
    pub len: usize,
    /// The name of the span or metric, or the message of the event.
    pub name: &'a str,
    /// Module path.
    pub target: &'a str,
    /// The package of the instrumented code, or empty.
    pub package: &'a str,
    /// The package's version, or empty.
    pub version: &'a str,
    /// Source file.
    pub file: &'a str,
    /// The unit of a metric; for an event, its name if it has one.
    pub unit: &'a str,
    /// The description of a metric.
    pub description: &'a str,
    field_count: u8,
    label_count: u8,
    rest: &'a [u8],
}

impl<'a> Blob<'a> {
    /// Parses the blob at the start of `bytes`. `None` when there is no blob, or it is cut short or
    /// malformed. Never panics.
    pub fn parse(bytes: &'a [u8]) -> Option<Blob<'a>> {
        let header = bytes.get(..HEADER)?;
        if !Blob::begins_with(header[0]) {
            return None;
        }
        let len = usize::from(u16::from_le_bytes([header[4], header[5]]));
        let bytes = bytes.get(..len)?;
        let (field_count, label_count) = (header[10], header[11]);
        if usize::from(field_count) > MAX_FIELDS || usize::from(label_count) > MAX_FIELDS {
            return None;
        }
        let mut texts = Texts(bytes.get(HEADER..)?);
        let mut blob = Blob {
            kind: Kind::from_u8(header[1])?,
            level: Level::from_u8(header[2] & 15),
            span_kind: SpanKind::from_u8(header[2] >> 4),
            param: header[3],
            line: u32::from_le_bytes([header[6], header[7], header[8], header[9]]),
            len,
            name: texts.next()?,
            target: texts.next()?,
            package: "",
            version: "",
            file: texts.next()?,
            unit: texts.next()?,
            description: texts.next()?,
            field_count,
            label_count,
            rest: &[],
        };
        blob.rest = texts.0;
        let wanted = usize::from(field_count) + 2 * usize::from(label_count);
        for _ in 0..wanted {
            texts.next()?;
        }
        if header[0] != MAGIC_1 {
            (blob.package, blob.version) = (texts.next()?, texts.next()?);
        }
        texts.0.is_empty().then_some(blob)
    }

    /// Whether a blob of any format begins with this byte.
    pub const fn begins_with(byte: u8) -> bool {
        matches!(byte, MAGIC_1 | MAGIC)
    }

    /// The number of fields or of run-time label keys.
    pub fn field_count(&self) -> usize {
        usize::from(self.field_count)
    }

    /// The names of the fields or the keys of the run-time labels, in order.
    pub fn fields(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        Texts(self.rest).take(usize::from(self.field_count))
    }

    /// The constant labels of a metric: key, value.
    pub fn labels(&self) -> impl Iterator<Item = (&'a str, &'a str)> + Clone + use<'a> {
        let mut texts = Texts(self.rest);
        for _ in 0..self.field_count {
            texts.next();
        }
        (0..self.label_count).filter_map(move |_| Some((texts.next()?, texts.next()?)))
    }
}

#[derive(Clone)]
struct Texts<'a>(&'a [u8]);

impl<'a> Iterator for Texts<'a> {
    type Item = &'a str;
    fn next(&mut self) -> Option<&'a str> {
        let (len, rest) = self.0.split_first_chunk::<2>()?;
        let len = usize::from(u16::from_le_bytes(*len));
        let text = core::str::from_utf8(rest.get(..len)?).ok()?;
        self.0 = &rest[len..];
        Some(text)
    }
}
