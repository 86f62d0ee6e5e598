//! Points made by hand.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use throughline_export::view::{PointData, PointView, Scope};
use throughline_export::{Exporter, Host, Resource};

pub const SCOPE: Scope<'static> = Scope { name: "shop", version: "1.2.0" };

/// A point of the package `shop`.
pub fn point<'a>(
    name: &'a str,
    unit: &'a str,
    labels: &'a [(&'a str, &'a str)],
    data: PointData<'a>,
) -> PointView<'a> {
    PointView {
        id: 0,
        name,
        unit,
        description: "",
        scope: SCOPE,
        target: "shop",
        start_unix_ns: 1_700_000_000_250_000_000,
        time_unix_ns: 1_700_000_100_000_000_000,
        labels,
        data,
    }
}

/// Begins with an exporter of the service `shop`, and gives it a point.
pub fn give_one(exporter: &mut impl Exporter) {
    let spawn = |_: &str, _: Box<dyn FnOnce() + Send>| Ok(());
    exporter.begin(&Host::new(&Resource::new("shop"), &spawn)).unwrap();
    exporter.points(&[point("orders", "", &[], PointData::Counter(1))]);
}
