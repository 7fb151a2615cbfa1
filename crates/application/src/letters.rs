//! What becomes a dead letter, and how its original is kept.

use domain::{CampaignId, TenantId, Timestamp};
use ports::dead_letters::{LetterKind, NewLetter};
use ports::inbound::{Delivery, RawEntry};
use uuid::Uuid;

/// A dead letter of an inbound entry.
pub(crate) fn of_entry(delivery: &Delivery, code: &str, error: &str, now: Timestamp, id: Uuid) -> NewLetter {
    let field = |name: &str| delivery.raw.fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let tenant = field("tenant").and_then(|t| TenantId::parse(t).ok()).unwrap_or_else(TenantId::default_tenant);
    let campaign = match &delivery.event {
        Ok(event) => Some(event.key.id.clone()),
        Err(_) => field("data").and_then(campaign_in),
    };
    NewLetter {
        id,
        tenant,
        kind: LetterKind::Event,
        origin: delivery.id.0.clone(),
        event_type: field("eventType").unwrap_or_default().chars().take(100).collect(),
        campaign,
        code: code.to_owned(),
        error: error.to_owned(),
        attempts: delivery.deliveries,
        first_error_at: now,
        last_error_at: now,
        original: original_of(&delivery.raw),
    }
}

fn campaign_in(data: &str) -> Option<CampaignId> {
    let data: serde_json::Value = serde_json::from_str(data).ok()?;
    CampaignId::parse(data.get("campaignId")?.as_str()?).ok()
}

/// An entry as the text that a letter keeps: an array of name and value pairs, since names may repeat.
fn original_of(raw: &RawEntry) -> String {
    serde_json::to_string(&raw.fields).unwrap_or_default()
}

/// The entry that a letter keeps.
pub(crate) fn entry_of(original: &str) -> Option<RawEntry> {
    serde_json::from_str(original).ok().map(|fields| RawEntry { fields })
}
