//! Fields of what others send: each reads straight into the domain's own type and says in plain words what is wrong.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use domain::{Definition, JsonText, Timestamp};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::inbound::MAX_DATA_BYTES;
use crate::{json, time};

/// A text with rules of its own: a reason, a name, a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text<T>(pub T);

/// An id, which producers also send as an integer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Id<T>(pub T);

/// An RFC 3339 time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(pub Timestamp);

/// A JSON object, kept as given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object(pub JsonText);

/// An event's data: a JSON object up to 64 KiB, kept as given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventData(pub String);

/// A number of engagements: what JSON readers hold exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub u64);

struct TextVisitor<T> {
    integers: bool,
    kind: PhantomData<T>,
}

impl<T> TextVisitor<T> {
    fn new(integers: bool) -> Self {
        Self { integers, kind: PhantomData }
    }
}

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.integers { "a string or an integer" } else { "a string" })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        if self.integers {
            self.visit_str(&number.to_string())
        } else {
            Err(E::invalid_type(serde::de::Unexpected::Unsigned(number), &self))
        }
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        if self.integers {
            self.visit_str(&number.to_string())
        } else {
            Err(E::invalid_type(serde::de::Unexpected::Signed(number), &self))
        }
    }
}

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor::new(false)).map(Self)
    }
}

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Id<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor::new(true)).map(Self)
    }
}

impl FromStr for Time {
    type Err = time::NotATime;

    fn from_str(text: &str) -> Result<Self, time::NotATime> {
        time::parse(text).map(Self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Text::<Self>::deserialize(deserializer).map(|t| t.0)
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let count = u64::deserialize(deserializer)?;
        if count <= Definition::MAX_ENGAGEMENTS {
            Ok(Self(count))
        } else {
            Err(D::Error::custom(format_args!("must be at most {}", Definition::MAX_ENGAGEMENTS)))
        }
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        json::object(raw.get()).map(Self).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for EventData {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get();
        if text.len() > MAX_DATA_BYTES {
            return Err(D::Error::custom(format_args!("must be at most {MAX_DATA_BYTES} bytes, not {}", text.len())));
        }
        json::check(text).map_err(D::Error::custom)?;
        if text.starts_with('{') { Ok(Self(text.to_owned())) } else { Err(D::Error::custom("must be a JSON object")) }
    }
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The names on the way to the field, from the outside in; empty for the whole.
    pub path: Vec<String>,
    /// What is wrong with it.
    pub detail: String,
}

impl Fault {
    /// A fault of the field `name` at the top.
    pub fn of(name: &str, detail: impl fmt::Display) -> Self {
        Self { path: vec![name.to_owned()], detail: detail.to_string() }
    }

    /// The field as a JSON pointer (RFC 6901); empty for the whole.
    pub fn pointer(&self) -> String {
        let mut pointer = String::new();
        for name in &self.path {
            pointer.push('/');
            pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
        }
        pointer
    }

    /// The field as `changes.startTime`; empty for the whole.
    pub fn dotted(&self) -> String {
        self.path.join(".")
    }
}

/// The most characters that are shown of something that somebody sent.
const MOST_SHOWN: usize = 100;
/// The most characters of what is wrong with a field.
const MOST_DETAIL: usize = 300;

/// What is shown of `text`: who sent something endless knows it, and everybody else is told enough by its beginning.
pub fn shown(text: &str) -> Cow<'_, str> {
    cut(text, MOST_SHOWN)
}

fn cut(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

/// Reads the JSON object `text` as a `T`; a failure names the field.
///
/// # Errors
/// [`Fault`].
pub fn read<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, Fault> {
    json::check(text).map_err(|error| Fault { path: Vec::new(), detail: error.to_string() })?;
    // serde would also take an array of the fields' values.
    if !text.trim_ascii_start().starts_with('{') {
        return Err(Fault { path: Vec::new(), detail: "must be a JSON object".to_owned() });
    }
    serde_json::from_str(text).map_err(|_| {
        let Fault { path, detail } = diagnose::<T>(text);
        let path = path.iter().map(|name| shown(name).into_owned()).collect();
        Fault { path, detail: cut(&detail, MOST_DETAIL).into_owned() }
    })
}

/// Reads once more, slowly, to learn where it fails.
fn diagnose<'de, T: Deserialize<'de>>(text: &'de str) -> Fault {
    use serde_path_to_error::Segment;
    let mut reader = serde_json::Deserializer::from_str(text);
    let Err(error) = serde_path_to_error::deserialize::<_, T>(&mut reader) else {
        return Fault { path: Vec::new(), detail: "cannot be read".to_owned() };
    };
    let mut path: Vec<String> = error
        .path()
        .iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(index.to_string()),
            Segment::Map { key } => Some(key.clone()),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect();
    let message = error.into_inner().to_string();
    let detail = message.rsplit_once(" at line ").map_or(message.as_str(), |(detail, _)| detail);
    // serde names an absent or unknown field only in words, at the path of its parent.
    if let Some(name) = detail.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        path.push(name.to_owned());
        return Fault { path, detail: "is required".to_owned() };
    }
    if let Some(rest) = detail.strip_prefix("unknown field `")
        && let Some((name, _)) = rest.rsplit_once("`, ")
    {
        let name = name.split("`, expected").next().unwrap_or(name).to_owned();
        if path.last() != Some(&name) {
            path.push(name);
        }
        return Fault { path, detail: "is not a known field".to_owned() };
    }
    Fault { path, detail: plain(detail) }
}

/// What serde says, without the names of Rust's types.
fn plain(detail: &str) -> String {
    if let Some((wrong, known)) =
        detail.strip_prefix("unknown variant `").and_then(|rest| rest.split_once("`, expected "))
    {
        return format!("must be {}, not {:?}", known.replace('`', ""), shown(wrong));
    }
    match detail.rsplit_once(", expected ") {
        Some((found, "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize")) => {
            format!("{found}, expected a whole number in range")
        }
        _ => detail.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{CampaignId, Reason, Status};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Sample {
        campaign_id: Id<CampaignId>,
        #[serde(default)]
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        at: Option<Time>,
        to: Option<Text<Status>>,
        reason: Option<Text<Reason>>,
        payload: Option<Object>,
        #[serde(default)]
        list: Vec<u32>,
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Skip,
        Hold,
        Fire,
    }

    fn fault(text: &str) -> (String, String) {
        let fault = read::<Sample>(text).expect_err(text);
        (fault.pointer(), fault.detail)
    }

    #[test]
    fn an_id_may_be_an_integer() {
        let ids = [r#"{"campaignId":42}"#, r#"{"campaignId":-1}"#, r#"{"campaignId":"42"}"#]
            .map(|text| read::<Sample>(text).expect(text).campaign_id.0.to_string());
        assert_eq!(ids, ["42", "-1", "42"]);
    }

    #[test]
    fn a_fault_names_its_field() {
        let wrong = |field: &str| format!(r#"{{"campaignId":"a","inner":{{{field}}}}}"#);
        let expect = |text: &str, pointer: &str, words: &str| {
            let (found, detail) = fault(text);
            assert_eq!(found, pointer, "{text}: {detail}");
            assert!(detail.contains(words), "{text}: {detail}");
        };
        expect("{}", "/campaignId", "required");
        expect(r#"{"campaignId":""}"#, "/campaignId", "1 to 64");
        expect(r#"{"campaignId":1.5}"#, "/campaignId", "a string or an integer");
        expect(r#"{"campaignId":"a","extra":1}"#, "/extra", "not a known field");
        expect(&wrong(r#""x/y~":1"#), "/inner/x~1y~0", "not a known field");
        expect(&wrong(r#""at":"soon""#), "/inner/at", "RFC 3339");
        expect(&wrong(r#""at":5"#), "/inner/at", "expected a string");
        expect(&wrong(r#""to":"DONE""#), "/inner/to", "one of CREATED");
        expect(&wrong(r#""reason":"""#), "/inner/reason", "1 to 500");
        expect(&wrong(r#""payload":[]"#), "/inner/payload", "JSON object");
        expect(&wrong(r#""list":[1,1.5]"#), "/inner/list/1", "floating point `1.5`, expected a whole number");
        expect(&wrong(r#""list":[-1]"#), "/inner/list/0", "integer `-1`, expected a whole number");
        expect(&wrong(r#""kind":"never""#), "/inner/kind", "must be one of skip, hold, fire, not \"never\"");
        expect("[", "", "EOF");
        expect(r#"["a",null]"#, "", "JSON object");
    }

    #[test]
    fn a_fault_does_not_send_back_all_that_came() {
        let endless = "x".repeat(60_000);
        for text in [
            format!(r#"{{"{endless}":1}}"#),
            format!(r#"{{"campaignId":"a","inner":{{"kind":"{endless}"}}}}"#),
            format!(r#"{{"campaignId":"a","inner":{{"list":"{endless}"}}}}"#),
            format!(r#"{{"campaignId":"a","inner":"{endless}"}}"#),
        ] {
            let (pointer, detail) = fault(&text);
            assert!(pointer.len() + detail.len() < 500, "{} and {}", pointer.len(), detail.len());
        }
        assert_eq!(shown("short"), "short");
        assert_eq!(shown(&"é".repeat(200)).chars().count(), MOST_SHOWN + 1);
    }

    #[test]
    fn null_is_the_same_as_absent_where_a_field_is_optional() {
        let read: Sample = read(r#"{"campaignId":"a","inner":{"at":null,"to":null,"reason":null,"payload":null}}"#)
            .expect("nulls are fine");
        let inner = read.inner.expect("there");
        assert!(inner.at.is_none() && inner.to.is_none() && inner.reason.is_none() && inner.payload.is_none());
        assert!(inner.list.is_empty() && inner.kind.is_none());
    }
}
