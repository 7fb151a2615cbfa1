//! JSON that others wrote: checked once when it comes in, embedded as it is when it goes out.

use std::fmt;

use domain::{JsonText, JsonTooLarge};
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// How deep objects and arrays may lie in each other.
pub const MAX_DEPTH: usize = 32;

/// Checks that `text` is one JSON value, nested at most [`MAX_DEPTH`] deep, that every reader can read: no number beyond
/// a double, no half of a surrogate pair.
///
/// # Errors
/// What is wrong, with line and column.
pub fn check(text: &str) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    Checked { depth: 0 }.deserialize(&mut reader)?;
    reader.end()
}

/// Why a text is not accepted as metadata or payload.
#[derive(Debug, thiserror::Error)]
pub enum NotAnObject {
    /// It is JSON of another kind.
    #[error("must be a JSON object")]
    OtherKind,
    /// Too large.
    #[error(transparent)]
    TooLarge(#[from] JsonTooLarge),
    /// No JSON, or nested too deep.
    #[error("{0}")]
    Malformed(#[from] serde_json::Error),
}

/// Takes `text` as a JSON object, to be kept as it is but for the spaces around it.
///
/// # Errors
/// [`NotAnObject`].
pub fn object(text: &str) -> Result<JsonText, NotAnObject> {
    let text = text.trim_ascii();
    let taken = JsonText::new(text)?;
    check(text)?;
    if text.starts_with('{') { Ok(taken) } else { Err(NotAnObject::OtherKind) }
}

/// Reads a value only to see that it is sound.
#[derive(Clone, Copy)]
struct Checked {
    depth: usize,
}

impl Checked {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format_args!("must not be nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Checked {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Checked {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while items.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while fields.next_key_seed(inner)?.is_some() {
            fields.next_value_seed(inner)?;
        }
        Ok(())
    }
}

/// Writes a JSON text into the surrounding JSON as it is.
#[derive(Debug, Clone, Copy)]
pub struct Embedded<'a>(pub &'a str);

impl Embedded<'_> {
    /// An owned form, for bodies that outlive the text.
    pub fn to_raw(self) -> Box<RawValue> {
        match serde_json::from_str::<&RawValue>(self.0) {
            Ok(raw) => raw.to_owned(),
            // Whatever came from outside was checked; what was not is shown as the text that it is.
            Err(_) => serde_json::value::to_raw_value(self.0).unwrap_or_default(),
        }
    }
}

impl Serialize for Embedded<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serde_json::from_str::<&RawValue>(self.0) {
            Ok(raw) => raw.serialize(serializer),
            Err(_) => serializer.serialize_str(self.0),
        }
    }
}

/// Writes a value of ours as JSON text.
pub(crate) fn write<T: Serialize>(value: &T) -> String {
    // Our own forms have only string keys and no fallible parts; a failure would be a bug that tests of every form show.
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> String {
        format!("{}{}", "[".repeat(levels), "]".repeat(levels))
    }

    #[test]
    fn thirty_two_levels_are_accepted_and_not_one_more() {
        assert!(check(&nested(32)).is_ok());
        let error = check(&nested(33)).expect_err("too deep").to_string();
        assert!(error.contains("deeper than 32"), "{error}");
        assert!(check(&nested(100_000)).is_err());
        assert!(check(&format!("{}1{}", r#"{"a":"#.repeat(33), "}".repeat(33))).is_err());
    }

    #[test]
    fn what_some_reader_could_not_read_is_refused() {
        for text in
            [r#"{"a":"\ud800"}"#, r#"{"\udc00":1}"#, "1e999", "{\"a\":\"\n\"}", "{} {}", "", "nul", "{\"a\":1,}"]
        {
            assert!(check(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_object_is_kept_as_given() {
        let text = "{ \"b\" : 1.50,\n\"a\":\"\\u00e9\", \"a\": [null] }";
        assert_eq!(object(&format!(" {text}\n")).expect("an object").as_str(), text);
        assert!(matches!(object("[]"), Err(NotAnObject::OtherKind)));
        assert!(matches!(object(&format!("{{\"a\":\"{}\"}}", "x".repeat(16 * 1024))), Err(NotAnObject::TooLarge(_))));
    }

    #[test]
    fn embedded_text_is_not_touched() {
        let text = "{ \"b\": 1.50 }";
        assert_eq!(write(&[Embedded(text)]), format!("[{text}]"));
        assert_eq!(Embedded(text).to_raw().get(), text);
        assert_eq!(write(&Embedded("no json")), "\"no json\"");
        assert_eq!(Embedded("no json").to_raw().get(), "\"no json\"");
    }
}
