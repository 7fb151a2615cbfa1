//! The flat text fields of stream entries, described as headers.

use serde_json::{Value, json};

/// Each schema of headers with its name.
pub(super) fn schemas() -> Value {
    json!({ INBOUND: inbound(), OUTBOUND: outbound(), FRAME: frame(), LETTER: letter() })
}

/// Of entries that are read.
pub(super) const INBOUND: &str = "inboundHeaders";
/// Of events that are written.
pub(super) const OUTBOUND: &str = "outboundHeaders";
/// Of frames that are kept.
pub(super) const FRAME: &str = "frameHeaders";
/// Of dead letters.
pub(super) const LETTER: &str = "letterHeaders";

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn time(description: &str) -> Value {
    json!({ "type": "string", "format": "date-time", "description": description })
}

fn number(description: &str) -> Value {
    json!({ "type": "string", "pattern": "^[0-9]+$", "description": description })
}

fn inbound() -> Value {
    let text = |description: &str| json!({ "type": "string", "maxLength": 255, "description": description });
    json!({
        "type": "object",
        "required": ["eventId", "eventType"],
        "properties": {
            "eventId": text("The sender's id: the same id again has no second effect."),
            "eventType": text("The name of the message."),
            "timestamp": { "type": "string", "format": "date-time" },
            "source": text("Who sends it."),
            "tenant": { "type": "string", "maxLength": 64, "default": "default" },
            "correlationId": text("What the sender follows it by."),
            "causationId": text("What it follows from."),
        },
    })
}

fn outbound() -> Value {
    json!({
        "type": "object",
        "required": ["eventId", "eventType", "timestamp", "source", "tenant", "position"],
        "properties": {
            "eventId": text("`<position>-<k>`, the same whenever it is sent; the entry's id, too."),
            "eventType": text("The name of the message."),
            "timestamp": time("When it happened."),
            "source": { "const": "lifecycle" },
            "tenant": text("Whose."),
            "correlationId": text("What the sender of the command follows it by."),
            "causationId": text("The id of the command behind it."),
            "position": number("The place in the one global order, without gaps."),
        },
    })
}

fn frame() -> Value {
    json!({
        "type": "object",
        "required": ["event", "timestamp", "tenant", "position"],
        "properties": {
            "event": text("The name of the message."),
            "timestamp": time("When it happened."),
            "tenant": text("Whose."),
            "campaignId": text("The campaign that it is about; its channel is `campaign:<id>`."),
            "ownerId": text("Whose campaign that is; the channel is `owner:<id>`."),
            "position": number("The place in the one global order, without gaps."),
        },
    })
}

fn letter() -> Value {
    json!({
        "type": "object",
        "required": [
            "letterId", "tenant", "kind", "eventType", "code", "error", "attempts", "firstErrorAt", "lastErrorAt", "originalId",
        ],
        "properties": {
            "letterId": text("Its id at the desk."),
            "tenant": text("Whose; `default` where that could not be read."),
            "campaignId": text("The campaign it is about, where that could be read."),
            "kind": {
                "const": "event",
                "description": "An inbound entry. A timer that was given up is told as `timer.failed` on `timer-events`.",
            },
            "eventType": text("The event's type; empty where that could not be read."),
            "code": text("A stable code of what is wrong."),
            "error": text("What is wrong, in words."),
            "attempts": number("How often it was tried."),
            "firstErrorAt": time("When it failed first."),
            "lastErrorAt": time("When it failed last."),
            "originalId": text("The id of the entry in its stream: it tells repeats."),
        },
    })
}
