//! JSON Schemas (draft 07) of everything that is told or taken by events and WebSocket frames, by channel and message.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, generate::Contract};
use serde_json::{Value, json};

use crate::events::{
    CampaignInitialized, Notice, Notification, Rejected, StatusChange, TargetReached, TimerEvent, Updated,
};
use crate::frames::{self, AuthenticatedData, ClientFrame, ErrorData, RecoveredData, Snapshot};
use crate::{inbound, outbound};

/// Where messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelKind {
    /// A stream whose entries this service reads.
    StreamIn,
    /// A stream of events that this service writes.
    StreamOut,
    /// The stream of what WebSocket clients see.
    FrameStream,
    /// The stream of dead letters.
    LetterStream,
    /// The WebSocket, from clients.
    SocketIn,
    /// The WebSocket, to clients.
    SocketOut,
}

/// A channel with its messages.
#[derive(Debug)]
pub struct ChannelSchema {
    /// Its name in documents.
    pub key: &'static str,
    /// Its address: a stream's name before any prefix, or a path.
    pub address: &'static str,
    /// What it is.
    pub kind: ChannelKind,
    /// What it is for.
    pub summary: &'static str,
    /// Its messages.
    pub messages: Vec<MessageSchema>,
}

/// A message with its schema.
#[derive(Debug)]
pub struct MessageSchema {
    /// Its name: the event type.
    pub name: &'static str,
    /// What it tells or asks.
    pub summary: &'static str,
    /// The schema of its data.
    pub data: Value,
}

/// The schema of what is read as a `T`.
fn taken<T: JsonSchema>() -> Value {
    schema_of::<T>(Contract::Deserialize)
}

/// The schema of what is written from a `T`.
fn told<T: JsonSchema>() -> Value {
    schema_of::<T>(Contract::Serialize)
}

fn schema_of<T: JsonSchema>(contract: Contract) -> Value {
    let settings = SchemaSettings::draft07().with(|settings| {
        // A schema stands inside larger documents, where references to its own definitions would lead nowhere.
        settings.inline_subschemas = true;
        settings.meta_schema = None;
        settings.contract = contract;
    });
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

fn message(name: &'static str, summary: &'static str, data: Value) -> MessageSchema {
    MessageSchema { name, summary, data }
}

/// Every channel, in a fixed order.
pub fn channels() -> Vec<ChannelSchema> {
    vec![
        ChannelSchema {
            key: "campaignEvents",
            address: "campaign-events",
            kind: ChannelKind::StreamIn,
            summary: "What producers tell or ask.",
            messages: inbound_messages(),
        },
        ChannelSchema {
            key: "lifecycleEvents",
            address: outbound::Stream::Lifecycle.name(),
            kind: ChannelKind::StreamOut,
            summary: "What happens to campaigns.",
            messages: vec![
                message(outbound::CAMPAIGN_INITIALIZED, "A campaign became known.", told::<CampaignInitialized<'_>>()),
                message(outbound::STATUS_CHANGED, "A campaign's status changed.", told::<StatusChange<'_>>()),
                message(outbound::UPDATE_APPLIED, "A campaign was changed.", told::<Updated<'_>>()),
                message(outbound::TARGET_REACHED, "A campaign's target was reached.", told::<TargetReached<'_>>()),
                message(outbound::COMMAND_REJECTED, "A command was refused.", told::<Rejected<'_>>()),
            ],
        },
        ChannelSchema {
            key: "timerEvents",
            address: outbound::Stream::Timer.name(),
            kind: ChannelKind::StreamOut,
            summary: "What happens to timers.",
            messages: vec![
                message(outbound::TIMER_SCHEDULED, "A timer was armed.", told::<TimerEvent<'_>>()),
                message(outbound::TIMER_EXECUTED, "A timer fired.", told::<TimerEvent<'_>>()),
                message(
                    outbound::TIMER_CANCELLED,
                    "A timer will not fire; the reason says why.",
                    told::<TimerEvent<'_>>(),
                ),
                message(
                    outbound::TIMER_HELD,
                    "A timer came too late and waits for an operator.",
                    told::<TimerEvent<'_>>(),
                ),
                message(outbound::TIMER_FAILED, "A timer was given up; it is a dead letter.", told::<TimerEvent<'_>>()),
            ],
        },
        ChannelSchema {
            key: "notificationEvents",
            address: "notification-events",
            kind: ChannelKind::FrameStream,
            summary: "What WebSocket clients see, kept for resume.",
            messages: frame_messages(),
        },
        ChannelSchema {
            key: "systemEvents",
            address: outbound::Stream::System.name(),
            kind: ChannelKind::StreamOut,
            summary: "What happens to the service itself. The event type is the notice's name, as `area.verb`.",
            messages: vec![message("notice", "Something about the service itself.", told::<Notice<'_>>())],
        },
        ChannelSchema {
            key: "deadLetters",
            address: "campaign-events:dlq",
            kind: ChannelKind::LetterStream,
            summary: "Entries that could not be processed, with cause, attempts and the original.",
            messages: vec![message("deadLetter", "An entry could not be processed.", original())],
        },
        ChannelSchema {
            key: "webSocketIn",
            address: "/ws",
            kind: ChannelKind::SocketIn,
            summary: "What WebSocket clients send.",
            messages: vec![message("clientFrame", "A frame from a client.", taken::<ClientFrame>())],
        },
        ChannelSchema {
            key: "webSocketOut",
            address: "/ws",
            kind: ChannelKind::SocketOut,
            summary: "What WebSocket clients get.",
            messages: frame_messages().into_iter().chain(answer_messages()).collect(),
        },
    ]
}

fn inbound_messages() -> Vec<MessageSchema> {
    vec![
        message(inbound::CAMPAIGN_CREATED, "A campaign exists.", taken::<inbound::CampaignCreated>()),
        message(inbound::CAMPAIGN_UPDATED, "A campaign is to change.", taken::<inbound::CampaignUpdated>()),
        message(inbound::CAMPAIGN_CANCELLED, "A campaign is called off.", taken::<inbound::CampaignCancelled>()),
        message(inbound::STATUS_REQUESTED, "A campaign is to be moved by hand.", taken::<inbound::StatusRequested>()),
        message(inbound::TIMER_REQUESTED, "A reminder is to be scheduled.", taken::<inbound::TimerRequested>()),
        message(inbound::METRIC_RECORDED, "Engagements were counted.", taken::<inbound::MetricRecorded>()),
    ]
}

fn frame_messages() -> Vec<MessageSchema> {
    vec![
        message(frames::STATUS_UPDATED, "A campaign's status changed, or it became known.", told::<StatusChange<'_>>()),
        message(frames::TIMER_SCHEDULED, "A timer was armed.", told::<TimerEvent<'_>>()),
        message(frames::TIMER_EXECUTED, "A timer fired.", told::<TimerEvent<'_>>()),
        message(frames::TIMER_FAILED, "A timer was given up.", told::<TimerEvent<'_>>()),
        message(frames::CAMPAIGN_UPDATED, "A campaign changed otherwise.", told::<Updated<'_>>()),
        message(frames::CAMPAIGN_ERROR, "A command was refused, or a timer is held.", told::<Rejected<'_>>()),
        message(frames::NOTIFICATION, "Something that people want to know.", told::<Notification<'_>>()),
        message(frames::SYSTEM_ALERT, "Something about the service itself.", told::<Notice<'_>>()),
    ]
}

/// The original of a dead letter.
fn original() -> Value {
    let pair = json!({ "type": "array", "items": { "type": "string" }, "minItems": 2, "maxItems": 2 });
    json!({
        "type": "array",
        "items": pair,
        "description": "The entry's fields as pairs of name and value, since names may repeat.",
    })
}

fn answer_messages() -> Vec<MessageSchema> {
    let nothing = || json!(true);
    vec![
        message("authenticated", "The token is accepted.", told::<AuthenticatedData<'_>>()),
        message("subscribed", "The channel is listened to; its state, unless resumed.", told::<Snapshot>()),
        message("recovered", "How a resume went.", told::<RecoveredData<Snapshot>>()),
        message("unsubscribed", "The channel is listened to no more.", nothing()),
        message("pong", "The answer to a ping.", nothing()),
        message("error", "A frame was refused.", told::<ErrorData<'_>>()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_inbound_event_type_has_its_message() {
        let names: Vec<_> = inbound_messages().iter().map(|message| message.name).collect();
        assert_eq!(names, inbound::EVENT_TYPES);
    }

    #[test]
    fn an_inbound_schema_asks_for_what_the_reader_asks_for() {
        let schema = taken::<inbound::CampaignCreated>();
        assert_eq!(schema["required"], json!(["campaignId", "startTime"]));
        assert_eq!(schema["properties"]["startTime"]["format"], "date-time");
        assert!(schema.get("additionalProperties").is_none(), "unknown fields are ignored");
        assert!(schema["properties"]["policy"]["properties"]["misfire"].is_object(), "{schema:#}");
    }

    #[test]
    fn an_outbound_schema_promises_what_is_always_there() {
        let schema = told::<StatusChange<'_>>();
        let always = ["campaignId", "fromStatus", "metadata", "occurredAt", "sequence", "toStatus", "trigger"];
        let mut required: Vec<_> =
            schema["required"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        required.sort_unstable();
        assert_eq!(required, always);
    }

    #[test]
    fn no_schema_leads_outside_itself() {
        for channel in channels() {
            for message in channel.messages {
                assert!(!message.data.to_string().contains("$ref"), "{}", message.name);
            }
        }
    }
}
