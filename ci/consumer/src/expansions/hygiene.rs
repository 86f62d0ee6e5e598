//! Names in the user's code that could collide with names in the macros.

use throughline::{
    counter, counter_family, gauge, gauge_family, histogram, histogram_family, info, instrument, record, span,
};

/// A module with the name of `::core`.
#[allow(clippy::module_inception)]
pub mod core {
    pub mod option {
        pub struct Option;
    }
}
pub mod std {}
pub mod throughline_macros {}

pub struct Status;
pub struct Level;

/// Constants with names that the macros' own items might have.
pub const META: &str = "meta";
pub const BLOB: &str = "blob";
pub const CALLSITE: &str = "callsite";
const CAPACITY: usize = 2;
const CELLS: usize = 2;
const SCALE: usize = 2;
const KEYS: usize = 2;
const HOME: usize = 2;
const SCALE_OF_HISTOGRAM: u32 = 2;

#[allow(non_camel_case_types, dead_code)]
type Option = u8;
#[allow(dead_code)]
fn drop() {}
#[allow(unused_macros)]
macro_rules! concat {
    () => {
        compile_error!("not the user's `concat!`")
    };
}

pub fn variables() {
    let callsite = 1;
    let values = 2;
    let span = span!("variables", callsite, values);
    let (recorder, result, entry, level, current) = (3, 4, 5, 6, 7);
    record!(span, callsite, values, recorder);
    info!("variables", callsite, values, result, entry, level, current);
    info!("{callsite}", callsite);
}

pub fn constants() {
    let _meta = span!(META);
    let _blob = span!(BLOB);
    let _callsite = span!(CALLSITE, capacity = CAPACITY);
    counter_family!("hygiene.capacity", labels = ["a"], capacity = CAPACITY).add(["x"], 1);
    counter_family!("hygiene.cells", labels = ["a"], capacity = CELLS).add(["x"], 1);
    histogram_family!("hygiene.scale", labels = ["a"], capacity = SCALE).record(["x"], 1);
    histogram_family!("hygiene.keys", labels = ["a"], capacity = KEYS).record(["x"], 1);
    counter!("hygiene.counter").add(1);
    histogram!("hygiene.histogram" as f64, scale = SCALE_OF_HISTOGRAM, fraction_bits = 2).record(1);
    gauge!("hygiene.gauge").set(1);
    gauge_family!("hygiene.gauges", labels = ["a"], capacity = HOME).set(["x"], 1);
}

/// Types with the names of primitive types, which the macros' items use.
pub fn primitives() {
    #![allow(non_camel_case_types, dead_code)]
    struct u8;
    struct u32;
    struct u64;
    struct usize;
    counter!("hygiene.primitives").add(1);
    gauge!("hygiene.primitives").set(1);
    histogram!("hygiene.primitives").record(1);
    counter_family!("hygiene.primitives", labels = ["a"], capacity = 2).add(["x"], 1);
    gauge_family!("hygiene.primitives", labels = ["a"], capacity = 2).set(["x"], 1);
    histogram_family!("hygiene.primitives" as f64, labels = ["a"], capacity = 2).record(["x"], 1);
}

#[instrument(err, ret)]
pub fn attribute(
    throughline_span: u8,
    throughline_output: u8,
    throughline_result: u8,
) -> Result<u8, ::core::num::TryFromIntError> {
    let throughline_error = u16::from(throughline_span) + u16::from(throughline_output);
    u8::try_from(throughline_error + u16::from(throughline_result))
}

#[instrument(err(Debug), ret(Display))]
pub async fn attribute_async(current: u8, throughline_span: u8) -> Result<u8, ()> {
    let throughline_output = current;
    throughline_output.checked_add(throughline_span).ok_or(())
}
