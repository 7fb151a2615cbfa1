//! Reading the server's answers. What they mean lives with who asked.

use fred::prelude::Value;

/// A list, empty for nothing.
pub(crate) fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        Value::Map(map) => map.inner().into_iter().flat_map(|(name, value)| [name.into(), value]).collect(),
        _ => Vec::new(),
    }
}

/// A text; bytes that are no UTF-8 are replaced.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_string()),
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::Integer(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A whole number that is not negative.
pub(crate) fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Integer(number) => u64::try_from(*number).ok(),
        other => text(other)?.parse().ok(),
    }
}

/// Numbers as the server wants them.
pub(crate) fn arg(number: impl ToString + Copy) -> Value {
    Value::from(number.to_string())
}
