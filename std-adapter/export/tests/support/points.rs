//! Points made by hand.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use throughline_export::view::{PointData, PointView, Scope};

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
