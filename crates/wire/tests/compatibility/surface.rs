//! Everything that is published today, by channel: taken from the AsyncAPI document and from the bodies of the HTTP
//! interface, with references followed and words left out.

use std::collections::BTreeMap;

use lifecycle_wire::{asyncapi, http};
use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::compare::Direction;

/// One channel's messages, by name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Channel {
    /// Where it is.
    pub(crate) address: String,
    /// Who depends on it.
    pub(crate) direction: Direction,
    /// The schemas of each message: `payload`, and `headers` where there are some.
    pub(crate) messages: BTreeMap<String, BTreeMap<String, Value>>,
}

impl Channel {
    /// As it is kept in the baseline.
    pub(crate) fn to_json(&self) -> Value {
        let direction = match self.direction {
            Direction::Read => "read",
            Direction::Written => "written",
        };
        json!({ "address": self.address, "direction": direction, "messages": self.messages })
    }

    /// As it was kept in the baseline.
    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        let direction = match value["direction"].as_str()? {
            "read" => Direction::Read,
            "written" => Direction::Written,
            _ => return None,
        };
        let messages = serde_json::from_value(value["messages"].clone()).ok()?;
        Some(Self { address: value["address"].as_str()?.to_owned(), direction, messages })
    }
}

/// All channels, by name.
pub(crate) fn today() -> BTreeMap<String, Channel> {
    let document = asyncapi::document();
    let mut channels: BTreeMap<String, Channel> = BTreeMap::new();
    for operation in entries(&document["operations"]).values() {
        let direction = if operation["action"] == "receive" { Direction::Read } else { Direction::Written };
        let target = operation["channel"]["$ref"].as_str().expect("a reference to a channel");
        let name = target.rsplit('/').next().expect("a name");
        let channel = document.pointer(target.trim_start_matches('#')).expect("the channel");
        let messages = entries(&channel["messages"]).iter().map(|(name, message)| {
            let message = plain(&document, message);
            let parts = ["payload", "headers"].into_iter();
            (name.clone(), parts.filter_map(|part| Some((part.to_owned(), message.get(part)?.clone()))).collect())
        });
        let address = channel["address"].as_str().expect("an address").to_owned();
        channels.insert(name.to_owned(), Channel { address, direction, messages: messages.collect() });
    }
    channels.insert("httpRequests".to_owned(), bodies(Direction::Read, requests()));
    channels.insert("httpAnswers".to_owned(), bodies(Direction::Written, answers()));
    channels
}

fn bodies(direction: Direction, bodies: Vec<(String, Value)>) -> Channel {
    let messages = bodies.into_iter().map(|(name, body)| (name, BTreeMap::from([("payload".to_owned(), body)])));
    Channel { address: "/api/v1".to_owned(), direction, messages: messages.collect() }
}

fn requests() -> Vec<(String, Value)> {
    vec![
        body::<http::CreateCampaign>(),
        body::<http::BatchBody>(),
        body::<http::UpdateCampaign>(),
        body::<http::CancelBody>(),
        body::<http::ChangeStatusBody>(),
        body::<http::ScheduleTimerBody>(),
        body::<http::DiscardBody>(),
        body::<http::EventBody>(),
        body::<http::ReplayBody>(),
    ]
}

fn answers() -> Vec<(String, Value)> {
    vec![
        body::<http::CampaignBody>(),
        body::<http::BatchResults>(),
        body::<http::LifecycleBody>(),
        body::<http::TransitionBody>(),
        body::<http::TimelineBody>(),
        body::<http::TimerBody>(),
        body::<http::ForecastBody>(),
        body::<http::EventReceipt>(),
        body::<http::LetterBody>(),
        body::<http::ReplayResult>(),
        body::<http::ReplaysBody>(),
        body::<http::SystemBody>(),
        body::<http::RecoveryBody>(),
        body::<http::Problem>(),
    ]
}

fn body<T: ToSchema + PartialSchema>() -> (String, Value) {
    let mut parts: Vec<(String, RefOr<Schema>)> = Vec::new();
    T::schemas(&mut parts);
    let parts: Map<String, Value> = parts.into_iter().map(|(name, schema)| (name, json!(schema))).collect();
    let document = json!({ "components": { "schemas": parts } });
    (T::name().into_owned(), plain(&document, &json!(T::schema())))
}

fn entries(value: &Value) -> &Map<String, Value> {
    value.as_object().expect("an object")
}

/// A schema with its references followed, without words, and with lists of single values as `enum`.
fn plain(document: &Value, value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            if let Some(target) = fields.get("$ref").and_then(Value::as_str) {
                let there = document.pointer(target.trim_start_matches('#'));
                return plain(document, there.unwrap_or_else(|| panic!("{target} leads nowhere")));
            }
            if let Some(values) = fields.get("oneOf").and_then(Value::as_array).and_then(|all| constants(all)) {
                return json!({ "enum": values });
            }
            let kept = fields.iter().filter(|(name, value)| !is_remark(name, value));
            Value::Object(kept.map(|(name, value)| (name.clone(), plain(document, value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| plain(document, item)).collect()),
        other => other.clone(),
    }
}

/// Whether this is a keyword that explains: a field of the same name has a schema, not a text.
fn is_remark(name: &str, value: &Value) -> bool {
    matches!(name, "description" | "title" | "summary" | "example") && !value.is_object()
}

fn constants(choices: &[Value]) -> Option<Vec<Value>> {
    choices.iter().map(|choice| choice.get("const").cloned()).collect()
}
