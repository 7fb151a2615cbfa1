//! The published language: how facts are stored, and how events, HTTP bodies and WebSocket frames look.
//!
//! Lives here: serde forms and their conversions to and from `domain` and the data types of `ports`, and the schemas that
//! describe them. Does not live here: I/O, decisions, anything that knows a transport.

pub mod asyncapi;
pub mod chain;
pub mod events;
pub mod fields;
pub mod frames;
pub mod http;
pub mod inbound;
pub mod json;
pub mod outbound;
pub mod rebuild;
pub mod schema;
pub mod stored;
pub mod time;
