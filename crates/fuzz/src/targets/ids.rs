//! Identifiers, times and small texts of the contract: one line of text.

use domain::{CampaignId, CommandId, OwnerId, TenantId, TimerName};

use super::{Check, ensure};
use crate::rules;

pub(super) const WORDS: &[&str] = &[
    "summer-2026",
    "a.b:c_d-e",
    "_service",
    "default",
    "2026-11-23T10:00:00Z",
    "2026-11-23T10:00:00.123456+02:00",
    "Z",
];

pub(super) fn build() -> Check {
    Box::new(|input| {
        let Ok(text) = std::str::from_utf8(input) else { return Ok("no text".to_owned()) };
        let is_id = rules::is_id(text);
        let read = [
            CampaignId::parse(text).map(|id| id.to_string()),
            OwnerId::parse(text).map(|id| id.to_string()),
            TenantId::parse(text).map(|id| id.to_string()),
            TimerName::parse(text).map(|id| id.to_string()),
        ];
        for id in &read {
            ensure(id.is_ok() == is_id, || format!("an id: {} here, {is_id} by the rule", id.is_ok()))?;
            ensure(id.as_ref().map_or_else(|error| error.to_string().len() < 200, |id| id == text), || {
                "an id that is another one, or an error without end".to_owned()
            })?;
        }
        let command = CommandId::parse(text);
        ensure(command.is_ok() == rules::is_command_id(text), || "a command's id".to_owned())?;
        Ok(format!("{is_id} {} {}", command.is_ok(), instant(text)?))
    })
}

/// An instant is read, written and read back as the same one, to the microsecond.
fn instant(text: &str) -> Result<bool, String> {
    let Ok(at) = wire::time::parse(text) else { return Ok(false) };
    ensure(rules::is_instant(text), || "accepts an instant".to_owned())?;
    let written = wire::time::format(at);
    let again = wire::time::parse(&written).map_err(|_| format!("{written} is not read back"))?;
    ensure(again == at, || format!("{written} is another instant"))?;
    let micros = wire::time::micros(at);
    ensure(wire::time::from_micros(micros) == Some(at), || format!("{micros} is another instant"))?;
    ensure((0..=9999).contains(&year_of(&written)), || format!("a year beyond the contract: {written}"))?;
    Ok(true)
}

fn year_of(written: &str) -> i64 {
    written.split('-').next().and_then(|year| year.parse().ok()).unwrap_or(-1)
}
