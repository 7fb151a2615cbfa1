//! What a text frame says, as far as it is measured: found by its bytes, since parsing each frame of thousands of clients
//! would cost more than sending it.

use anyhow::{Context as _, Result};
use chrono::DateTime;

/// An event of the kind that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event {
    /// When it was due, or a peer sent it, in microseconds since 1970.
    pub(super) due: i64,
    /// When it happened by its own word.
    pub(super) told: i64,
}

/// A campaign started: its id says when that was due.
pub(super) fn start(text: &str) -> Result<Option<Event>> {
    if !text.starts_with(r#"{"event":"campaign.status.updated""#) || value(text, "fromStatus") != Some("CREATED") {
        return Ok(None);
    }
    let id = value(text, "campaignId").context("no campaign")?;
    let due = id.rsplit('-').next().unwrap_or_default().parse()?;
    let told = value(text, "timestamp").context("no time")?;
    Ok(Some(Event { due, told: DateTime::parse_from_rfc3339(told)?.timestamp_micros() }))
}

/// A peer's message.
pub(super) fn of_peer(text: &str) -> Result<Event> {
    let (_, rest) = text.split_once(r#""sentAt":"#).context("no sentAt")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let due = rest[..digits].parse()?;
    Ok(Event { due, told: due })
}

/// Where a frame is in the order of all.
pub(super) fn cursor(text: &str) -> Option<(u64, u32)> {
    let (position, k) = value(text, "cursor")?.split_once('-')?;
    Some((position.parse().ok()?, k.parse().ok()?))
}

/// The text of the first member called `name`.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = text;
    loop {
        let (_, after) = rest.split_once(name)?;
        if let Some(value) = after.strip_prefix(r#"":""#) {
            return value.split_once('"').map(|(value, _)| value);
        }
        rest = after;
    }
}
