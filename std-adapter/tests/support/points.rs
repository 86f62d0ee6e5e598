//! An exporter that keeps the numbers of the last points.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use std::sync::{Arc, Mutex};
use throughline_std::view::{PointData, PointView};
use throughline_std::{Deadline, ExportError, Exporter, Wants};

/// Names, labels as in `a=1,b=2`, and values.
#[derive(Clone, Debug, Default)]
pub struct Points(Arc<Mutex<Vec<(String, String, f64)>>>);

impl Points {
    /// The value of a series: of a histogram, how many values it has.
    pub fn get(&self, name: &str, labels: &str) -> Option<f64> {
        let points = self.0.lock().unwrap();
        points.iter().find(|(known, of, _)| known == name && of == labels).map(|(.., value)| *value)
    }
}

impl Exporter for Points {
    fn wants(&self) -> Wants {
        Wants { points: true, ..Wants::NOTHING }
    }

    fn points(&mut self, points: &[PointView<'_>]) {
        let one = |point: &PointView<'_>| {
            let labels: Vec<String> =
                point.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let value = match &point.data {
                PointData::Counter(n) => *n as f64,
                PointData::GaugeInt(n) => *n as f64,
                PointData::GaugeFloat(x) => *x,
                PointData::Histogram(it) => it.count() as f64,
                _ => 0.0,
            };
            (point.name.to_owned(), labels.join(","), value)
        };
        *self.0.lock().unwrap() = points.iter().map(one).collect();
    }

    fn flush(&mut self, _: &Deadline) -> Result<(), ExportError> {
        Ok(())
    }
}
