//! What the store and the streams hold: the first line says what it is, the rest is the form.

use domain::{CampaignId, CampaignKey, TenantId, Timestamp};
use ports::journal::{Actor, Cause, Fact, Position, Record};
use wire::stored::{
    DecodeError, decode_campaign, decode_entry, decode_raw, decode_timer, encode_campaign, encode_entry, encode_raw,
    encode_timer,
};

use super::{Check, ensure};
use crate::json::Json;
use crate::rules;

pub(super) const WORDS: &[&str] = &[
    "campaign",
    "timer",
    "raw",
    "v",
    "\"v\":1",
    "\"v\":2",
    "s",
    "d",
    "i",
    "k",
    "n",
    "g",
    "p",
    "o",
    "CREATED",
    "RUNNING",
    "REWARD_CLAIM",
    "COMPLETED",
    "CANCELLED",
    "START_CAMPAIGN",
    "CUSTOM",
    "campaign.created",
    "campaign.started",
    "command.rejected",
    "notice",
];

pub(super) fn build() -> Check {
    let key = key();
    Box::new(move |input| {
        let Ok(text) = std::str::from_utf8(input) else { return Ok("no text".to_owned()) };
        let (kind, form) = text.split_once('\n').unwrap_or((text, ""));
        match kind {
            "campaign" => round(decode_campaign(&key, form), encode_campaign, |text| decode_campaign(&key, text)),
            "timer" => round(decode_timer(form), encode_timer, decode_timer),
            "raw" => round(decode_raw(form), encode_raw, decode_raw),
            kind => entry(kind, form),
        }
    })
}

fn key() -> CampaignKey {
    let id = CampaignId::parse("c-1").unwrap_or_else(|error| panic!("{error}"));
    CampaignKey { tenant: TenantId::default_tenant(), id }
}

/// What can be read is written and read back as the same.
fn round<T: PartialEq>(
    read: Result<T, DecodeError>,
    write: impl Fn(&T) -> String,
    read_again: impl Fn(&str) -> Result<T, DecodeError>,
) -> Result<String, String> {
    match read {
        Ok(value) => {
            let written = write(&value);
            let again = read_again(&written).map_err(|error| format!("is not read back: {error}: {written}"))?;
            ensure(again == value, || format!("is read back as another: {written}"))?;
            ensure(write(&again) == written, || format!("is written in two ways: {written}"))?;
            Ok(format!("read {}", written.matches("\":").count()))
        }
        Err(error) => Ok(why_not(&error)),
    }
}

/// The same for an entry of the journal; and what can be read can be told to clients and streams.
fn entry(kind: &str, form: &str) -> Result<String, String> {
    let entry = match decode_entry(kind, form) {
        Ok(entry) => entry,
        Err(error) => return Ok(why_not(&error)),
    };
    let written = encode_entry(&entry);
    let again = decode_entry(kind, &written.data).map_err(|error| format!("is not read back: {error}"))?;
    ensure(again == entry, || "is read back as another".to_owned())?;
    let fact = Fact {
        id: uuid::Uuid::nil(),
        at: Timestamp::default(),
        tenant: TenantId::default_tenant(),
        actor: Actor::system(),
        cause: Cause::default(),
        entry,
    };
    let record = Record { position: Position(1), fact };
    let frames = wire::frames::frames_of(&record);
    for frame in &frames {
        let text = frame.to_text("tenant");
        ensure(Json::read(&text).is_some(), || format!("is told to clients as what is no JSON: {text}"))?;
    }
    let events = wire::outbound::expand(&record).len();
    Ok(format!("{kind} {} {events} {}", frames.len(), written.data.matches("\":").count()))
}

fn why_not(error: &DecodeError) -> String {
    match error {
        DecodeError::UnknownVersion(_) => "another version".to_owned(),
        DecodeError::UnknownKind(_) => "another kind".to_owned(),
        DecodeError::Malformed(error) => rules::gist(&error.to_string()),
        DecodeError::Invalid { field, .. } => format!("invalid {field}"),
    }
}
