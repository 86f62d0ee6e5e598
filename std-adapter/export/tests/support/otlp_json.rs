//! Requests of OTLP in JSON, made comparable.

use serde_json::Value;

/// A message of JSON without members that have their default value, which may be written or not.
pub(crate) fn message(json: &str) -> Value {
    fn trimmed(value: Value) -> Value {
        let is_default = |value: &Value| match value {
            Value::Null | Value::Bool(false) => true,
            Value::Number(n) => n.as_f64() == Some(0.0),
            Value::String(text) => text.is_empty() || text == "0",
            Value::Object(members) => members.is_empty(),
            _ => false,
        };
        match value {
            Value::Object(members) => {
                let members = members.into_iter().map(|(name, value)| (name, trimmed(value)));
                members.filter(|(_, value)| !is_default(value)).collect()
            }
            Value::Array(list) => list.into_iter().map(trimmed).collect(),
            // `17` and `17.0` are one number.
            Value::Number(n) => n.as_f64().map_or(Value::Null, Value::from),
            other => other,
        }
    }
    trimmed(serde_json::from_str(json).unwrap())
}
