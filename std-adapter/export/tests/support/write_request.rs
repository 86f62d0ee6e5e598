//! The messages of remote write 1.0, `prompb/remote.proto` and `prompb/types.proto`, as prost decodes them.
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

impl WriteRequest {
    /// What a compressed body has, once it has been seen to be as the specification demands: labels sorted, each
    /// once, with a value, and series with one sample each.
    pub fn of(body: &[u8]) -> WriteRequest {
        let request =
            WriteRequest::decode(&*snap::raw::Decoder::new().decompress_vec(body).unwrap()).unwrap();
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
