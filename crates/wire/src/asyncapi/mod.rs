//! The AsyncAPI 3.0 document of the streams and the WebSocket. The same program makes the same document.

mod headers;

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
                text of the field that `x-redis-stream` names. Names of streams take a configurable prefix. Readers ignore \
                fields and event types that they do not know. Delivery is at least once: `eventId` tells repeats.",
        },
        "defaultContentType": "application/json",
        "servers": servers(),
        "channels": object(&channels, |channel| (channel.key.to_owned(), channel_object(channel))),
        "operations": object(&channels, |channel| {
            let (verb, action) = match channel.kind {
                ChannelKind::StreamIn | ChannelKind::SocketIn => ("receive", "receive"),
                ChannelKind::StreamOut | ChannelKind::FrameStream | ChannelKind::LetterStream | ChannelKind::SocketOut => {
                    ("send", "send")
                }
            };
            let (first, rest) = channel.key.split_at(1);
            let name = format!("{verb}{}{rest}", first.to_ascii_uppercase());
            let channel = json!({ "$ref": format!("#/channels/{}", channel.key) });
            (name, json!({ "action": action, "channel": channel }))
        }),
        "components": {
            "messages": messages(&channels),
            "schemas": headers::schemas(),
            "correlationIds": { "sender": { "location": "$message.header#/correlationId" } },
            "securitySchemes": {
                "redisUser": { "type": "userPassword", "description": "A user of Redis (ACL)." },
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "In the `Authorization` header, in the list of subprotocols (`bearer, <token>`), or in the \
                        first frame.",
                },
            },
        },
    })
}

/// Where channels are found: the addresses are examples, every installation has its own.
fn servers() -> Value {
    json!({
        "redis": {
            "host": "localhost:6379",
            "protocol": "redis",
            "description": "Redis 7 or later, also as rediss, sentinel or cluster: the streams.",
            "security": [{ "$ref": "#/components/securitySchemes/redisUser" }],
            "bindings": { "redis": {} },
        },
        "webSocket": {
            "host": "localhost:8080",
            "protocol": "ws",
            "description": "The service itself: live clients. With TLS in front of it, wss.",
            "security": [{ "$ref": "#/components/securitySchemes/bearer" }],
            "bindings": { "ws": {} },
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
    let mut object = json!({ "address": channel.address, "summary": channel.summary, "messages": messages });
    let (server, binding) = match channel.kind {
        ChannelKind::SocketIn | ChannelKind::SocketOut => ("webSocket", json!({ "ws": { "method": "GET" } })),
        ChannelKind::StreamIn | ChannelKind::StreamOut | ChannelKind::FrameStream | ChannelKind::LetterStream => {
            ("redis", json!({ "redis": {} }))
        }
    };
    object["servers"] = json!([{ "$ref": format!("#/servers/{server}") }]);
    object["bindings"] = binding;
    if let Some(stream) = stream_of(channel.kind) {
        object["x-redis-stream"] = stream;
    }
    object
}

/// How a channel's entries stand in their stream, for which AsyncAPI has no words of its own.
fn stream_of(kind: ChannelKind) -> Option<Value> {
    let stream = |id: &str, payload: &str| json!({ "command": "XADD", "entryId": id, "payloadField": payload });
    match kind {
        ChannelKind::StreamIn => Some(stream("*", "data")),
        ChannelKind::StreamOut | ChannelKind::FrameStream => Some(stream("<position>-<k>", "data")),
        ChannelKind::LetterStream => Some(stream("*", "original")),
        ChannelKind::SocketIn | ChannelKind::SocketOut => None,
    }
}

fn messages(channels: &[ChannelSchema]) -> Value {
    let mut all = Map::new();
    for channel in channels {
        for message in &channel.messages {
            let payload = match channel.kind {
                ChannelKind::SocketOut => server_frame(message),
                ChannelKind::StreamIn
                | ChannelKind::StreamOut
                | ChannelKind::FrameStream
                | ChannelKind::LetterStream
                | ChannelKind::SocketIn => message.data.clone(),
            };
            let mut object = json!({ "name": message.name, "summary": message.summary, "payload": payload });
            if let Some(headers) = headers_of(channel.kind) {
                object["headers"] = json!({ "$ref": format!("#/components/schemas/{headers}") });
            }
            if matches!(channel.kind, ChannelKind::StreamIn | ChannelKind::StreamOut) {
                object["correlationId"] = json!({ "$ref": "#/components/correlationIds/sender" });
            }
            all.insert(message_key(channel, message), object);
        }
    }
    Value::Object(all)
}

fn headers_of(kind: ChannelKind) -> Option<&'static str> {
    match kind {
        ChannelKind::StreamIn => Some(headers::INBOUND),
        ChannelKind::StreamOut => Some(headers::OUTBOUND),
        ChannelKind::FrameStream => Some(headers::FRAME),
        ChannelKind::LetterStream => Some(headers::LETTER),
        ChannelKind::SocketIn | ChannelKind::SocketOut => None,
    }
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
