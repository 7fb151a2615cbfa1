//! Events of other services: the fields of an entry of the stream, as pairs in JSON or as lines `name=value`.

use ports::inbound::{InboundEvent, RawEntry, Undecodable};
use wire::inbound::{Envelope, MALFORMED_EVENT, UNKNOWN_EVENT_TYPE, decode, encode};

use super::{Check, ensure};
use crate::json::Json;
use crate::rules;

/// The longest message about an entry that cannot be read: it is kept with the dead letter, and shown.
const MOST_MESSAGE: usize = 2_048;

pub(super) const WORDS: &[&str] = &[
    "eventId",
    "eventType",
    "timestamp",
    "source",
    "tenant",
    "correlationId",
    "causationId",
    "data",
    "=",
    "\n",
    "campaign.created",
    "campaign.updated",
    "campaign.cancelled",
    "campaign.status.requested",
    "campaign.timer.requested",
    "campaign.metric.recorded",
    "campaignId",
    "ownerId",
    "startTime",
    "endTime",
    "durationHours",
    "durationMinutes",
    "autoClose",
    "rewardsEnabled",
    "targetEngagements",
    "metadata",
    "policy",
    "changes",
    "reason",
    "updatedBy",
    "cancelledBy",
    "requestedBy",
    "expectedVersion",
    "targetStatus",
    "name",
    "payload",
    "dueAt",
    "at",
    "engagements",
    "RUNNING",
    "ENDED",
    "2026-11-23T10:00:00Z",
    "default",
    "acme",
];

pub(super) fn build() -> Check {
    Box::new(|input| {
        let entry = entry(input);
        let first = decode(&entry);
        ensure(first == decode(&entry), || "is read in two ways".to_owned())?;
        match first {
            Ok(event) => accepted(&entry, &event),
            Err(error) => refused(&error),
        }
    })
}

/// Reads pairs or lines.
fn entry(input: &[u8]) -> RawEntry {
    let text = String::from_utf8_lossy(input);
    wire::stored::decode_raw(&text).unwrap_or_else(|_| {
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        RawEntry { fields: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect() }
    })
}

fn refused(error: &Undecodable) -> Result<String, String> {
    ensure([UNKNOWN_EVENT_TYPE, MALFORMED_EVENT].contains(&error.code.as_str()), || format!("code {:?}", error.code))?;
    ensure(error.message.len() <= MOST_MESSAGE, || format!("a message of {} bytes", error.message.len()))?;
    Ok(format!("{} {}", error.code, rules::gist(&error.message)))
}

fn accepted(entry: &RawEntry, event: &InboundEvent) -> Result<String, String> {
    let all = |name: &str| entry.fields.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect::<Vec<_>>();
    let one = |name: &str| all(name).first().copied().unwrap_or_default();
    for name in ["eventId", "eventType", "timestamp", "source", "tenant", "correlationId", "data"] {
        ensure(all(name).len() <= 1, || format!("{name} twice is accepted"))?;
    }
    ensure(rules::is_command_id(one("eventId")), || "accepts an eventId that is none".to_owned())?;
    ensure(one("tenant").is_empty() || rules::is_id(one("tenant")), || "accepts a tenant that is none".to_owned())?;
    ensure(event.key.tenant.as_str() != "_service", || "accepts the reserved tenant".to_owned())?;
    ensure(one("tenant").is_empty() || event.key.tenant.as_str() == one("tenant"), || "another tenant".to_owned())?;
    ensure(rules::is_id(event.key.id.as_str()), || "accepts a campaign that is none".to_owned())?;
    ensure(one("timestamp").is_empty() || rules::is_instant(one("timestamp")), || "accepts a timestamp".to_owned())?;
    ensure(event.source.chars().count() <= 255 + 5 + 500, || "a source without end".to_owned())?;
    let data = one("data");
    ensure(data.len() <= 64 * 1024, || "accepts data that are too large".to_owned())?;
    let fields = rules::object(data).map_err(|why| format!("accepts data: {why}"))?;
    let Some(Json::Text(campaign) | Json::Number(campaign)) = fields.field("campaignId") else {
        return Err("accepts data without a campaign, or with two".to_owned());
    };
    ensure(event.key.id.as_str() == campaign, || format!("another campaign: {campaign:?}"))?;
    same_again(event, data, one)
}

/// What was read, written once more, is the same.
fn same_again<'a>(event: &InboundEvent, data: &str, one: impl Fn(&str) -> &'a str) -> Result<String, String> {
    let some = |text: &'a str| Some(text).filter(|text| !text.is_empty());
    let source = one("source");
    let again = encode(&Envelope {
        event_id: event.id.as_str(),
        event_type: &event.event_type,
        timestamp: domain::Timestamp::default(),
        source,
        tenant: event.key.tenant.as_str(),
        correlation: some(one("correlationId")),
        causation: None,
        data,
    });
    let again = decode(&again).map_err(|error| format!("is not read back: {}", error.message))?;
    ensure(again == *event, || "is another event when it is read back".to_owned())?;
    let command = format!("{:?}", event.command);
    let given = command.matches("Some(").count();
    Ok(format!("{} {} {given}", event.event_type, event.expected_version.is_some()))
}
