//! Values of attributes, and the attributes that a collector should get for them.

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use proptest::prelude::*;
use throughline::Value;

/// A value that owns its text, from which views borrow.
#[derive(Clone, Debug)]
pub(crate) enum Owned {
    Bool(bool),
    U64(u64),
    I64(i64),
    F32(f32),
    F64(f64),
    Str(String, bool),
    Bytes(Vec<u8>, bool),
    Postcard(Vec<u8>),
}

impl Owned {
    pub(crate) fn value(&self) -> Value<'_> {
        match self {
            Owned::Bool(b) => Value::Bool(*b),
            Owned::U64(n) => Value::U64(*n),
            Owned::I64(n) => Value::I64(*n),
            Owned::F32(x) => Value::F32(*x),
            Owned::F64(x) => Value::F64(*x),
            Owned::Str(text, truncated) => Value::Str { text, truncated: *truncated },
            Owned::Bytes(bytes, truncated) => Value::Bytes { bytes, truncated: *truncated },
            Owned::Postcard(bytes) => Value::Postcard { bytes, truncated: false },
        }
    }

    pub(crate) fn attributes(&self, key: &str) -> Vec<KeyValue> {
        use any_value::Value as V;
        let (value, truncated) = match self {
            Owned::Bool(b) => (V::BoolValue(*b), false),
            Owned::U64(n) => {
                (i64::try_from(*n).map_or_else(|_| V::StringValue(n.to_string()), V::IntValue), false)
            }
            Owned::I64(n) => (V::IntValue(*n), false),
            Owned::F32(x) => (V::DoubleValue(f64::from(*x)), false),
            Owned::F64(x) => (V::DoubleValue(*x), false),
            Owned::Str(text, truncated) => (V::StringValue(text.clone()), *truncated),
            Owned::Bytes(bytes, truncated) => (V::BytesValue(bytes.clone()), *truncated),
            Owned::Postcard(bytes) => (V::BytesValue(bytes.clone()), false),
        };
        let mut all = vec![kv(key, value)];
        if truncated {
            all.push(kv(&format!("{key}.truncated"), V::BoolValue(true)));
        }
        all
    }
}

pub(crate) fn kv(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    kv(key, any_value::Value::StringValue(value.into()))
}

pub(crate) fn int(key: &str, value: i64) -> KeyValue {
    kv(key, any_value::Value::IntValue(value))
}

pub(crate) fn owned() -> impl Strategy<Value = Owned> {
    prop_oneof![
        any::<bool>().prop_map(Owned::Bool),
        any::<u64>().prop_map(Owned::U64),
        (0u64..300).prop_map(Owned::U64),
        any::<i64>().prop_map(Owned::I64),
        // NaN is unequal to itself, so another test checks its bits.
        any::<f32>().prop_filter("NaN", |x| !x.is_nan()).prop_map(Owned::F32),
        any::<f64>().prop_filter("NaN", |x| !x.is_nan()).prop_map(Owned::F64),
        (".{0,40}", any::<bool>()).prop_map(|(s, t)| Owned::Str(s, t)),
        (0usize..40_000).prop_map(|n| Owned::Str("x".repeat(n), false)),
        (proptest::collection::vec(any::<u8>(), 0..200), any::<bool>()).prop_map(|(b, t)| Owned::Bytes(b, t)),
        proptest::collection::vec(any::<u8>(), 0..200).prop_map(Owned::Postcard),
    ]
}

pub(crate) fn fields() -> impl Strategy<Value = Vec<(String, Owned)>> {
    proptest::collection::vec(
        ("[a-z.]{0,12}|[a-z]{100,140}|[ab]|a.truncated|code.line.number|busy_ns|error.message", owned()),
        0..6,
    )
}
