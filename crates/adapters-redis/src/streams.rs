//! The outbound streams as a reader finds them, compared with what the log says they hold. What an entry looks like lives in
//! `told`, who writes them in `publisher`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use fred::prelude::Value;
use ports::PortError;
use ports::journal::{Position, Record};
use ports::verification::{StreamFault, Streams};

use crate::failure::{REDIS, odd, reading, writing};
use crate::link::{Link, Script};
use crate::names::{MARK, Names, OUTBOUND};
use crate::told;
use crate::values::{arg, list, number, text};

/// The entries of so many records are read in one step: other clients of the server wait meanwhile.
const CHUNK: usize = 100;

static AGAIN: Script = Script::new(concat!(include_str!("scripts/streams.lua"), include_str!("scripts/again.lua")));

/// [`Streams`] in Redis.
pub struct RedisStreams {
    link: Arc<Link>,
    names: Names,
}

/// An entry's fields, by its id.
type Entries = BTreeMap<(u64, u64), Vec<String>>;

impl RedisStreams {
    pub(crate) fn new(link: Arc<Link>, names: Names) -> Self {
        Self { link, names }
    }

    async fn held(&self, stream: &str, first: Position, last: Position) -> Result<Entries, PortError> {
        let range = vec![self.names.of(stream).into(), format!("{first}-0").into(), arg(last)];
        let answer = self.link.call("XRANGE", range).await.map_err(reading)?;
        let mut held = Entries::new();
        for entry in list(answer) {
            let mut parts = list(entry).into_iter();
            let id = parts.next().as_ref().and_then(text).unwrap_or_default();
            let (position, k) = id.split_once('-').ok_or_else(|| odd("an entry without an id"))?;
            let id = position.parse().ok().zip(k.parse().ok()).ok_or_else(|| odd("an entry's id is none"))?;
            let fields = list(parts.next().unwrap_or(Value::Null));
            held.insert(id, fields.iter().map(|field| text(field).unwrap_or_default()).collect());
        }
        Ok(held)
    }
}

#[async_trait]
impl Streams for RedisStreams {
    async fn told(&self) -> Result<Position, PortError> {
        let mark = vec![self.names.of(MARK).into(), "position".into()];
        let answer = self.link.call("HGET", mark).await.map_err(reading)?;
        Ok(Position(number(&answer).unwrap_or_default()))
    }

    async fn compare(&self, records: &[Arc<Record>]) -> Result<Vec<StreamFault>, PortError> {
        let mut faults = Vec::new();
        for chunk in records.chunks(CHUNK) {
            let (Some(first), Some(last)) = (chunk.first(), chunk.last()) else { continue };
            let mut told = OUTBOUND.map(|_| Entries::new());
            for (stream, id, fields) in chunk.iter().flat_map(|record| told::entries(record)) {
                told[stream].insert(id, fields);
            }
            for (name, told) in OUTBOUND.iter().zip(told) {
                let held = self.held(name, first.position, last.position).await?;
                faults.extend(differences(name, &told, &held));
            }
        }
        Ok(faults)
    }

    async fn forget(&self, stream: &str, from: Position) -> Result<(), PortError> {
        if !OUTBOUND.contains(&stream) {
            return Err(PortError::Refused { what: REDIS, detail: format!("{stream} is no outbound stream") });
        }
        let keys = vec![self.names.of(stream)];
        self.link.run(&AGAIN, keys, vec![arg(from)]).await.map_err(writing)?;
        Ok(())
    }
}

/// Whether two entries say the same. Entries are kept for days, and the version that wrote one may have told more, or less,
/// of a fact than this one does; what both tell must be equal.
fn agree(told: &[String], held: &[String]) -> bool {
    if told == held {
        return true;
    }
    let pairs = |fields: &[String]| -> BTreeMap<String, String> {
        fields.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
    };
    let (told, held) = (pairs(told), pairs(held));
    // What it is, and of which record, every version says.
    let says = |name: &str| told.get(name) == held.get(name);
    says("eventType")
        && says("event")
        && says("position")
        && told.iter().all(|(name, value)| match held.get(name) {
            Some(other) if name == "data" => data_agree(value, other),
            Some(other) => value == other,
            None => true,
        })
}

fn data_agree(told: &str, held: &str) -> bool {
    type Object = serde_json::Map<String, serde_json::Value>;
    match (serde_json::from_str::<Object>(told), serde_json::from_str::<Object>(held)) {
        (Ok(told), Ok(held)) => told.iter().all(|(name, value)| held.get(name).is_none_or(|other| other == value)),
        _ => false,
    }
}

/// The positions at which `held` is not what was `told`, one fault each.
fn differences(stream: &str, told: &Entries, held: &Entries) -> Vec<StreamFault> {
    if told == held {
        return Vec::new();
    }
    let mut details = BTreeMap::new();
    let ids: BTreeSet<_> = told.keys().chain(held.keys()).collect();
    for id in ids {
        let detail = match (told.get(id), held.get(id)) {
            (Some(told), Some(held)) if agree(told, held) => continue,
            (Some(_), Some(_)) => "is told otherwise than the log has it",
            (Some(_), None) => "is not in the stream",
            (None, _) => "is in the stream, and the log does not know it",
        };
        details.entry(id.0).or_insert_with(|| format!("its entry {}-{} {detail}", id.0, id.1));
    }
    let fault = |(position, detail)| StreamFault { stream: stream.to_owned(), position: Position(position), detail };
    details.into_iter().map(fault).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(fields: &[(&str, &str)]) -> Vec<String> {
        fields.iter().flat_map(|(name, value)| [(*name).to_owned(), (*value).to_owned()]).collect()
    }

    #[test]
    fn another_version_may_tell_more_or_less_but_nothing_else() {
        let told = entry(&[("eventType", "x"), ("position", "7"), ("tenant", "a"), ("data", r#"{"a":1,"b":2}"#)]);
        let with = |tenant, data| entry(&[("eventType", "x"), ("position", "7"), ("tenant", tenant), ("data", data)]);
        for (held, agrees) in [
            (with("a", r#"{"b":2,"a":1}"#), true),
            (with("a", r#"{"a":1,"b":2,"c":3}"#), true),
            (with("a", r#"{"a":1}"#), true),
            (with("a", r#"{"a":1,"b":3}"#), false),
            (with("b", r#"{"a":1,"b":2}"#), false),
            (with("a", "[]"), false),
            (entry(&[("eventType", "y"), ("position", "7")]), false),
            (entry(&[("eventType", "x")]), false),
            (entry(&[("eventType", "x"), ("position", "7"), ("more", "1")]), true),
        ] {
            assert_eq!(agree(&told, &held), agrees, "{held:?}");
        }
    }
}
