//! The stored form of an inbound entry: its fields in order, as pairs.

use ports::inbound::RawEntry;

use super::DecodeError;
use crate::json;

/// Writes an entry's fields.
pub fn encode_raw(entry: &RawEntry) -> String {
    json::write(&entry.fields)
}

/// Reads what [`encode_raw`] wrote.
///
/// # Errors
/// [`DecodeError`].
pub fn decode_raw(text: &str) -> Result<RawEntry, DecodeError> {
    Ok(RawEntry { fields: serde_json::from_str(text)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn fields_are_read_back_in_order(fields in proptest::collection::vec((any::<String>(), any::<String>()), 0..5)) {
            let entry = RawEntry { fields };
            prop_assert_eq!(decode_raw(&encode_raw(&entry)).expect("reads what it wrote"), entry);
        }
    }
}
