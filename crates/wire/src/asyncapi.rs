//! The AsyncAPI 3.0 document of the streams and the WebSocket. The same program makes the same document.

use serde_json::{Map, Value, json};

use crate::schema::{ChannelKind, ChannelSchema, MessageSchema, channels};

/// The document.
pub fn document() -> Value {
    let channels = channels();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Campaign Lifecycle Service",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0" },
            "description": "Entries of streams have flat text fields, described here as headers; the payload is the JSON \
                text of the field `data`. Names of streams take a configurable prefix. Readers ignore fields and event \
                types that they do not know. Delivery is at least once: `eventId` tells repeats.",
        },
        "defaultContentType": "application/json",
        "channels": object(&channels, |channel| (channel.key.to_owned(), channel_object(channel))),
        "operations": object(&channels, |channel| {
            let (verb, action) = match channel.kind {
                ChannelKind::StreamIn | ChannelKind::SocketIn => ("receive", "receive"),
                ChannelKind::StreamOut | ChannelKind::SocketOut => ("send", "send"),
            };
            let (first, rest) = channel.key.split_at(1);
            let name = format!("{verb}{}{rest}", first.to_ascii_uppercase());
            let channel = json!({ "$ref": format!("#/channels/{}", channel.key) });
            (name, json!({ "action": action, "channel": channel }))
        }),
        "components": {
            "messages": messages(&channels),
            "schemas": { "inboundHeaders": inbound_headers(), "outboundHeaders": outbound_headers() },
        },
    })
}

fn object<T>(items: &[T], entry: impl Fn(&T) -> (String, Value)) -> Value {
    Value::Object(items.iter().map(entry).collect())
}

/// Messages of different channels may have the same name.
fn message_key(channel: &ChannelSchema, message: &MessageSchema) -> String {
    format!("{}.{}", channel.key, message.name)
}

fn channel_object(channel: &ChannelSchema) -> Value {
    let messages = object(&channel.messages, |message| {
        let target = format!("#/components/messages/{}", message_key(channel, message));
        (message.name.to_owned(), json!({ "$ref": target }))
    });
    json!({ "address": channel.address, "summary": channel.summary, "messages": messages })
}

fn messages(channels: &[ChannelSchema]) -> Value {
    let mut all = Map::new();
    for channel in channels {
        for message in &channel.messages {
            let payload = match channel.kind {
                ChannelKind::StreamIn | ChannelKind::StreamOut | ChannelKind::SocketIn => message.data.clone(),
                ChannelKind::SocketOut => server_frame(message),
            };
            let mut object = json!({ "name": message.name, "summary": message.summary, "payload": payload });
            match channel.kind {
                ChannelKind::StreamIn => object["headers"] = json!({ "$ref": "#/components/schemas/inboundHeaders" }),
                ChannelKind::StreamOut => object["headers"] = json!({ "$ref": "#/components/schemas/outboundHeaders" }),
                ChannelKind::SocketIn | ChannelKind::SocketOut => {}
            }
            all.insert(message_key(channel, message), object);
        }
    }
    Value::Object(all)
}

fn server_frame(message: &MessageSchema) -> Value {
    json!({
        "type": "object",
        "required": ["event", "timestamp"],
        "properties": {
            "event": { "const": message.name },
            "id": { "type": "integer", "description": "The number of the client's frame that it answers." },
            "channel": { "type": "string", "description": "`campaign:<id>`, `owner:<id>`, `tenant` or `system`." },
            "cursor": { "type": "string", "pattern": "^[0-9]+-[0-9]+$", "description": "What was seen after it." },
            "timestamp": { "type": "string", "format": "date-time" },
            "data": message.data,
        },
    })
}

fn inbound_headers() -> Value {
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

fn outbound_headers() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    json!({
        "type": "object",
        "required": ["eventId", "eventType", "timestamp", "source", "tenant", "position"],
        "properties": {
            "eventId": text("`<position>-<k>`, the same whenever it is sent."),
            "eventType": text("The name of the message."),
            "timestamp": { "type": "string", "format": "date-time" },
            "source": { "const": "lifecycle" },
            "tenant": text("Whose."),
            "correlationId": text("What the sender of the command follows it by."),
            "causationId": text("The id of the command behind it."),
            "position": text("The place in the one global order, without gaps."),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value {
                        Value::String(target) if name == "$ref" => found.push(target.clone()),
                        value => references(value, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 40);
        for target in found {
            assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target}");
        }
    }

    #[test]
    fn all_streams_and_the_socket_are_there() {
        let document = document();
        let channels = document["channels"].as_object().expect("an object");
        let mut addresses: Vec<_> = channels.values().filter_map(|channel| channel["address"].as_str()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        let expected = [
            "/ws",
            "campaign-events",
            "campaign-events:dlq",
            "lifecycle-events",
            "notification-events",
            "system-events",
            "timer-events",
        ];
        assert_eq!(addresses, expected);
        assert_eq!(document["operations"].as_object().map(Map::len), Some(channels.len()));
    }

    #[test]
    fn it_is_the_same_every_time() {
        assert_eq!(document().to_string(), document().to_string());
    }
}
