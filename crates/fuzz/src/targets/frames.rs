//! What WebSocket clients say: the text of one frame.

use wire::frames::{ClientFrame, Cursor};

use super::{Check, ensure};
use crate::json::Json;
use crate::rules;

/// The longest answer to a frame that cannot be read.
const MOST_MESSAGE: usize = 1_024;

pub(super) const WORDS: &[&str] = &[
    "action",
    "subscribe",
    "unsubscribe",
    "ping",
    "authenticate",
    "channel",
    "since",
    "id",
    "token",
    "tenant",
    "system",
    "campaign:",
    "owner:",
    "42-0",
];

pub(super) fn build() -> Check {
    Box::new(|input| {
        let Ok(text) = std::str::from_utf8(input) else { return Ok("no text".to_owned()) };
        match ClientFrame::read(text) {
            Ok(frame) => accepted(text, &frame),
            Err(fault) => {
                let told = fault.dotted().len() + fault.detail.len();
                ensure(told <= MOST_MESSAGE, || format!("an answer of {told} bytes"))?;
                Ok(format!("{} {}", fault.path.len(), rules::gist(&fault.detail)))
            }
        }
    })
}

fn accepted(text: &str, frame: &ClientFrame) -> Result<String, String> {
    let fields = rules::object(text).map_err(|why| format!("accepts a frame: {why}"))?;
    let said = |name: &str| fields.field(name).and_then(Json::text);
    let (action, known): (_, &[&str]) = match frame {
        ClientFrame::Authenticate { token, .. } => {
            ensure(said("token") == Some(token), || "another token".to_owned())?;
            ensure(token.len() < 4 || !format!("{frame:?}").contains(token.as_str()), || "shows a token".to_owned())?;
            ("authenticate", &["action", "token", "id"])
        }
        ClientFrame::Subscribe { channel, since, .. } => {
            ensure(said("channel") == Some(channel), || "another channel".to_owned())?;
            ensure(said("since") == since.as_deref(), || "another cursor".to_owned())?;
            ("subscribe", &["action", "channel", "since", "id"])
        }
        ClientFrame::Unsubscribe { channel, .. } => {
            ensure(said("channel") == Some(channel), || "another channel".to_owned())?;
            ("unsubscribe", &["action", "channel", "id"])
        }
        ClientFrame::Ping { .. } => ("ping", &["action", "id"]),
    };
    ensure(said("action") == Some(action), || "another action".to_owned())?;
    let mut names = fields.fields().unwrap_or_default().iter().map(|(name, _)| name.as_str());
    ensure(names.all(|name| known.contains(&name)), || "accepts an unknown field".to_owned())?;
    let has = |name: &str| fields.field(name).is_some_and(|value| *value != Json::Null);
    let since = said("since").map(|since| since.parse::<Cursor>().is_ok());
    Ok(format!("{action} {} {since:?}", has("id")))
}
