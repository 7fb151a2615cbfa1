//! Inbound entries as the server gives them, made into deliveries. How they are read and acknowledged lives in `inbound`.

use fred::prelude::Value;
use ports::PortError;
use ports::inbound::{Delivery, EntryId, InboundEvent, RawEntry, Undecodable};
use wire::inbound::MALFORMED_EVENT;

use crate::failure::odd;
use crate::values::{list, number, text};

/// How many bytes of an entry's fields are kept. What can be read is far smaller; more would only burden the dead letters.
pub(crate) const MOST_KEPT: usize = 256 * 1_024;
/// The field that stands in for what was cut away.
const CUT: &str = "lifecycle.cut";

/// Reads an entry that may have been cut.
pub(crate) fn decode(raw: &RawEntry) -> Result<InboundEvent, Undecodable> {
    match raw.fields.last() {
        Some((name, bytes)) if name == CUT => Err(Undecodable {
            code: MALFORMED_EVENT.to_owned(),
            message: format!("the entry is too large: {bytes} bytes, of which the first {MOST_KEPT} are kept"),
        }),
        _ => wire::inbound::decode(raw),
    }
}

/// The arguments that append `raw`.
pub(crate) fn to_args(raw: &RawEntry) -> Vec<Value> {
    if raw.fields.is_empty() {
        // The server has no entries without fields.
        return vec!["".into(), "".into()];
    }
    raw.fields.iter().flat_map(|(name, value)| [name.as_str().into(), value.as_str().into()]).collect()
}

/// A delivery out of `{id, fields}` or `{id, fields, deliveries}`.
pub(crate) fn delivery(entry: Value) -> Result<Delivery, PortError> {
    let mut parts = list(entry).into_iter();
    let id = parts.next().as_ref().and_then(text).ok_or_else(|| odd("an entry without an id"))?;
    let raw = raw(list(parts.next().unwrap_or(Value::Null)));
    let deliveries = parts.next().as_ref().and_then(number).unwrap_or(1);
    Ok(Delivery {
        event: decode(&raw),
        raw,
        appended_at: appended_at(&id),
        deliveries: u32::try_from(deliveries).unwrap_or(u32::MAX),
        id: EntryId(id),
    })
}

/// When the entry with this id was appended: the server puts its time into ids. A producer that chooses its own ids may
/// put in anything.
pub(crate) fn appended_at(id: &str) -> domain::Timestamp {
    let millis = id.split('-').next().and_then(|ms| ms.parse().ok());
    millis.and_then(domain::Timestamp::from_timestamp_millis).unwrap_or(domain::Timestamp::UNIX_EPOCH)
}

/// Whether this is an id at all; the server takes a whole list amiss for one that is none.
pub(crate) fn is_id(id: &str) -> bool {
    id.split_once('-').is_some_and(|(ms, sequence)| {
        [ms, sequence].iter().all(|part| part.bytes().all(|b| b.is_ascii_digit()) && part.parse::<u64>().is_ok())
    })
}

fn raw(values: Vec<Value>) -> RawEntry {
    let whole: usize = values.iter().map(size).sum();
    let mut left = MOST_KEPT;
    let mut fields = Vec::with_capacity(values.len() / 2 + 1);
    let mut values = values.into_iter();
    while let (Some(name), Some(value)) = (values.next(), values.next()) {
        if left == 0 {
            break;
        }
        fields.push((cut(&name, &mut left), cut(&value, &mut left)));
    }
    if whole > MOST_KEPT {
        fields.push((CUT.to_owned(), whole.to_string()));
    }
    if let [(name, value)] = fields.as_slice()
        && name.is_empty()
        && value.is_empty()
    {
        fields.clear();
    }
    RawEntry { fields }
}

fn size(value: &Value) -> usize {
    value.as_bytes().map_or(0, <[u8]>::len)
}

/// At most `left` bytes of it as text.
fn cut(value: &Value, left: &mut usize) -> String {
    let bytes = value.as_bytes().unwrap_or_default();
    let kept = &bytes[..bytes.len().min(*left)];
    *left -= kept.len();
    String::from_utf8_lossy(kept).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(fields: &[(&str, &[u8])]) -> Value {
        let fields: Vec<Value> =
            fields.iter().flat_map(|(name, value)| [(*name).into(), Value::from(*value)]).collect();
        Value::Array(vec!["1700000000000-3".into(), Value::Array(fields)])
    }

    #[test]
    fn a_giant_entry_is_cut_and_says_so() {
        let giant = vec![b'x'; MOST_KEPT * 4];
        let got = delivery(entry(&[("eventId", b"e-1"), ("junk", &giant), ("data", b"{}")])).expect("an entry");
        let kept: usize = got.raw.fields.iter().map(|(name, value)| name.len() + value.len()).sum();
        assert!(kept < MOST_KEPT + 100, "{kept} bytes are kept");
        let why = got.event.expect_err("it is too large");
        assert!(why.code == MALFORMED_EVENT && why.message.contains("too large"), "{why:?}");
        assert_eq!(Err(why), decode(&got.raw));
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let got = delivery(entry(&[("data", b"\xff{}")])).expect("an entry");
        assert_eq!(got.raw.fields, [("data".to_owned(), "\u{fffd}{}".to_owned())]);
        assert_eq!(got.appended_at.timestamp_millis(), 1_700_000_000_000);
    }

    #[test]
    fn only_ids_are_ids() {
        for id in ["0-1", "1700000000000-0", "18446744073709551615-18446744073709551615"] {
            assert!(is_id(id), "{id}");
        }
        for id in ["", "-", "1", "-1", "1-", "a-1", "+1-1", "18446744073709551616-0", "1-1-1"] {
            assert!(!is_id(id), "{id}");
        }
    }
}
