//! The messages of remote write as prost decodes them: 1.0, `prompb/remote.proto` and `prompb/types.proto`, and 2.0,
//! `prompb/io/prometheus/write/v2/types.proto`, which is read as 1.0.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use prost::Message;
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Message)]
pub struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub timeseries: Vec<TimeSeries>,
    #[prost(message, repeated, tag = "3")]
    pub metadata: Vec<Metadata>,
}

#[derive(Clone, PartialEq, Message)]
pub struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    pub exemplars: Vec<Exemplar>,
    #[prost(message, repeated, tag = "4")]
    pub histograms: Vec<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Label {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Sample {
    #[prost(double, tag = "1")]
    pub value: f64,
    #[prost(int64, tag = "2")]
    pub timestamp: i64,
    /// In 2.0 alone.
    #[prost(int64, tag = "3")]
    pub start_timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
    #[prost(double, tag = "2")]
    pub value: f64,
    #[prost(int64, tag = "3")]
    pub timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct Histogram {
    #[prost(uint64, tag = "1")]
    pub count_int: u64,
    #[prost(double, tag = "3")]
    pub sum: f64,
    #[prost(sint32, tag = "4")]
    pub schema: i32,
    #[prost(double, tag = "5")]
    pub zero_threshold: f64,
    #[prost(uint64, tag = "6")]
    pub zero_count_int: u64,
    #[prost(message, repeated, tag = "11")]
    pub positive_spans: Vec<Span>,
    #[prost(sint64, repeated, tag = "12")]
    pub positive_deltas: Vec<i64>,
    #[prost(int64, tag = "15")]
    pub timestamp: i64,
    /// In 2.0 alone.
    #[prost(int64, tag = "17")]
    pub start_timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct Span {
    #[prost(sint32, tag = "1")]
    pub offset: i32,
    #[prost(uint32, tag = "2")]
    pub length: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Metadata {
    #[prost(int32, tag = "1")]
    pub r#type: i32,
    #[prost(string, tag = "2")]
    pub metric_family_name: String,
    #[prost(string, tag = "4")]
    pub help: String,
    #[prost(string, tag = "5")]
    pub unit: String,
}

#[derive(Clone, PartialEq, Message)]
struct Request2 {
    #[prost(string, repeated, tag = "4")]
    symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    timeseries: Vec<TimeSeries2>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries2 {
    #[prost(uint32, repeated, tag = "1")]
    labels_refs: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    histograms: Vec<Histogram>,
    #[prost(message, repeated, tag = "4")]
    exemplars: Vec<Exemplar2>,
    #[prost(message, tag = "5")]
    metadata: Option<Metadata2>,
}

#[derive(Clone, PartialEq, Message)]
struct Exemplar2 {
    #[prost(uint32, repeated, tag = "1")]
    labels_refs: Vec<u32>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(int64, tag = "3")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Metadata2 {
    #[prost(int32, tag = "1")]
    r#type: i32,
    #[prost(uint32, tag = "3")]
    help_ref: u32,
    #[prost(uint32, tag = "4")]
    unit_ref: u32,
}

impl Request2 {
    fn text(&self, place: u32) -> String {
        self.symbols[place as usize].clone()
    }

    fn labels(&self, places: &[u32]) -> Vec<Label> {
        let (pairs, []) = places.as_chunks::<2>() else { panic!("a name without a value: {places:?}") };
        pairs.iter().map(|[name, value]| Label { name: self.text(*name), value: self.text(*value) }).collect()
    }

    /// The same as a request of 1.0.
    fn as_1_0(&self) -> WriteRequest {
        assert_eq!(self.symbols[0], "", "the first is empty");
        let unique: std::collections::BTreeSet<_> = self.symbols.iter().collect();
        assert_eq!(unique.len(), self.symbols.len(), "each is there once");
        let mut request = WriteRequest::default();
        for series in &self.timeseries {
            let exemplars = series.exemplars.iter().map(|it| Exemplar {
                labels: self.labels(&it.labels_refs),
                value: it.value,
                timestamp: it.timestamp,
            });
            let labels = self.labels(&series.labels_refs);
            let name = &labels.iter().find(|label| label.name == "__name__").unwrap().value;
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
            let name = family.unwrap_or(name).to_owned();
            let metadata = series.metadata.as_ref().expect("each series has it");
            request.metadata.push(Metadata {
                r#type: metadata.r#type,
                metric_family_name: name,
                help: self.text(metadata.help_ref),
                unit: self.text(metadata.unit_ref),
            });
            request.timeseries.push(TimeSeries {
                labels,
                samples: series.samples.clone(),
                exemplars: exemplars.collect(),
                histograms: series.histograms.clone(),
            });
        }
        request
    }
}

impl WriteRequest {
    /// What a compressed body has, once it has been seen to be as the specification demands: labels sorted, each
    /// once, with a value, and series with one sample each.
    pub fn of(body: &[u8], is_2_0: bool) -> WriteRequest {
        let body = &*snap::raw::Decoder::new().decompress_vec(body).unwrap();
        let request = if is_2_0 {
            Request2::decode(body).unwrap().as_1_0()
        } else {
            WriteRequest::decode(body).unwrap()
        };
        for series in &request.timeseries {
            assert!(series.labels.is_sorted_by(|a, b| a.name < b.name), "{series:?}");
            assert!(series.labels.iter().all(|label| !label.value.is_empty()), "{series:?}");
            assert_eq!(series.samples.len() + series.histograms.len(), 1, "{series:?}");
        }
        request
    }

    /// The only series with this name and these labels, among others.
    pub fn series(&self, name: &str, labels: &[(&str, &str)]) -> &TimeSeries {
        let wanted = |series: &&TimeSeries| {
            let of = series.labels();
            of.get("__name__") == Some(&name) && labels.iter().all(|(key, value)| of.get(key) == Some(value))
        };
        let found: Vec<_> = self.timeseries.iter().filter(wanted).collect();
        assert_eq!(found.len(), 1, "{name} {labels:?}: {found:?} of {:?}", self.timeseries);
        found[0]
    }

    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.series(name, labels).samples[0].value
    }
}

impl TimeSeries {
    pub fn labels(&self) -> BTreeMap<&str, &str> {
        self.labels.iter().map(|label| (&*label.name, &*label.value)).collect()
    }
}
