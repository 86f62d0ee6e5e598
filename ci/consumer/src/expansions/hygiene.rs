//! Names of the user's that the macros might take for their own.

use throughline::{counter, counter_family, histogram_family, info, instrument, record, span};

/// A module in the way of `::core`.
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

/// Constants by the names that the macros' own items might have.
pub const META: &str = "meta";
pub const BLOB: &str = "blob";
pub const CALLSITE: &str = "callsite";
const CAPACITY: usize = 2;
const CELLS: usize = 2;
const SCALE: usize = 2;
const KEYS: usize = 2;

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
