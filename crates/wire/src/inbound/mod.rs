//! Events from other services: an entry's fields as they came, read into the command that they ask for.

mod data;

use domain::{CampaignId, CampaignKey, Command, CommandId, Reason, Requester, TenantId, Timestamp};
use ports::inbound::{InboundEvent, RawEntry, Undecodable};

pub use data::{
    CampaignCancelled, CampaignCreated, CampaignUpdated, Changes, MetricRecorded, MisfireFields, MisfireRule,
    PolicyFields, StatusRequested, TimerRequested, window_ends,
};

use crate::fields::{self, Fault};
use crate::{chain, time};

/// The largest `data`, in bytes.
pub const MAX_DATA_BYTES: usize = 64 * 1024;
/// The longest `source`, `correlationId`, `updatedBy` and the like, in characters.
pub const MAX_NAME_CHARS: usize = 255;

/// `campaign.created`.
pub const CAMPAIGN_CREATED: &str = "campaign.created";
/// `campaign.updated`.
pub const CAMPAIGN_UPDATED: &str = "campaign.updated";
/// `campaign.cancelled`.
pub const CAMPAIGN_CANCELLED: &str = "campaign.cancelled";
/// `campaign.status.requested`.
pub const STATUS_REQUESTED: &str = "campaign.status.requested";
/// `campaign.timer.requested`.
pub const TIMER_REQUESTED: &str = "campaign.timer.requested";
/// `campaign.metric.recorded`.
pub const METRIC_RECORDED: &str = "campaign.metric.recorded";

/// Every event type that is understood.
pub const EVENT_TYPES: [&str; 6] =
    [CAMPAIGN_CREATED, CAMPAIGN_UPDATED, CAMPAIGN_CANCELLED, STATUS_REQUESTED, TIMER_REQUESTED, METRIC_RECORDED];

/// The code of an entry whose type is none of [`EVENT_TYPES`].
pub const UNKNOWN_EVENT_TYPE: &str = "unknown_event_type";
/// The code of an entry that cannot be read.
pub const MALFORMED_EVENT: &str = "malformed_event";

/// An event on its way to the stream.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// The sender's id of it.
    pub event_id: &'a str,
    /// One of [`EVENT_TYPES`].
    pub event_type: &'a str,
    /// When it happened.
    pub timestamp: Timestamp,
    /// Who sends it.
    pub source: &'a str,
    /// Whose.
    pub tenant: &'a str,
    /// What the sender follows it by.
    pub correlation: Option<&'a str>,
    /// What it follows from.
    pub causation: Option<&'a str>,
    /// Its data as JSON text.
    pub data: &'a str,
}

/// The entry's fields that carry `event`.
pub fn encode(event: &Envelope<'_>) -> RawEntry {
    let timestamp = time::format(event.timestamp);
    let fields = [
        ("eventId", Some(event.event_id)),
        ("eventType", Some(event.event_type)),
        ("timestamp", Some(timestamp.as_str())),
        ("source", Some(event.source)),
        ("tenant", Some(event.tenant)),
        ("correlationId", event.correlation),
        ("causationId", event.causation),
        ("data", Some(event.data)),
    ];
    RawEntry {
        fields: fields
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| (name.to_owned(), value.to_owned())))
            .collect(),
    }
}

/// Reads an entry.
///
/// # Errors
/// [`Undecodable`] with the code [`UNKNOWN_EVENT_TYPE`], or [`MALFORMED_EVENT`] and the name of the field.
pub fn decode(entry: &RawEntry) -> Result<InboundEvent, Undecodable> {
    let envelope = Fields::of(entry)?;
    let event_type = envelope.required("eventType")?;
    let id = CommandId::parse(envelope.required("eventId")?).map_err(|error| malformed("eventId", error))?;
    let tenant = match envelope.get("tenant") {
        Some(tenant) => match TenantId::parse(tenant) {
            Ok(tenant) if tenant == TenantId::service() => return Err(malformed("tenant", "is reserved")),
            Ok(tenant) => tenant,
            Err(error) => return Err(malformed("tenant", error)),
        },
        None => TenantId::default_tenant(),
    };
    let source = envelope.name("source")?.unwrap_or("unknown");
    let correlation = envelope.name("correlationId")?;
    if let Some(timestamp) = envelope.get("timestamp") {
        time::parse(timestamp).map_err(|error| malformed("timestamp", error))?;
    }
    if !EVENT_TYPES.contains(&event_type) {
        let shown: String = event_type.chars().take(100).collect();
        let message = format!("eventType {shown:?} is not known");
        return Err(Undecodable { code: UNKNOWN_EVENT_TYPE.to_owned(), message });
    }
    let data = envelope.required("data")?;
    if data.len() > MAX_DATA_BYTES {
        let message = format_args!("must be at most {MAX_DATA_BYTES} bytes, not {}", data.len());
        return Err(malformed("data", message));
    }
    let asked =
        read_command(event_type, data).map_err(|fault| malformed(&join("data", &fault.dotted()), fault.detail))?;
    let source = match asked.by {
        Some(by) => format!("{source} for {by}"),
        None => source.to_owned(),
    };
    Ok(InboundEvent {
        id,
        event_type: event_type.to_owned(),
        source,
        correlation: correlation.map(str::to_owned),
        fingerprint: chain::fingerprint(&[event_type, data, tenant.as_str()]),
        key: CampaignKey { tenant, id: asked.campaign },
        command: asked.command,
        expected_version: asked.expected_version,
    })
}

/// What an event's data ask for.
struct Asked {
    campaign: CampaignId,
    command: Command,
    expected_version: Option<u64>,
    by: Option<Reason>,
}

fn read_command(event_type: &str, data: &str) -> Result<Asked, Fault> {
    let (campaign, command, expected_version, by) = match event_type {
        CAMPAIGN_CREATED => {
            let (campaign, definition) = fields::read::<CampaignCreated>(data)?.into_definition()?;
            (campaign, Command::Create { definition }, None, None)
        }
        CAMPAIGN_UPDATED => {
            let event: CampaignUpdated = fields::read(data)?;
            let reason = event.reason.map(|reason| reason.0);
            let command = Command::Update { changes: event.changes.into(), reason };
            (event.campaign_id.0, command, event.expected_version, event.updated_by)
        }
        CAMPAIGN_CANCELLED => {
            let event: CampaignCancelled = fields::read(data)?;
            let reason = event.reason.map(|reason| reason.0);
            (event.campaign_id.0, Command::Cancel { by: Requester::Producer, reason }, None, event.cancelled_by)
        }
        STATUS_REQUESTED => {
            let event: StatusRequested = fields::read(data)?;
            let command = Command::ChangeStatus { to: event.to.0, reason: event.reason.map(|reason| reason.0) };
            (event.campaign_id.0, command, event.expected_version, event.requested_by)
        }
        TIMER_REQUESTED => {
            let event: TimerRequested = fields::read(data)?;
            let payload = event.payload.map(|payload| payload.0);
            let command = Command::ScheduleReminder { name: event.name.0, at: event.at.0, payload };
            (event.campaign_id.0, command, None, None)
        }
        _ => {
            let event: MetricRecorded = fields::read(data)?;
            (event.campaign_id.0, Command::RecordEngagements { total: event.engagements.0 }, None, None)
        }
    };
    Ok(Asked { campaign, command, expected_version, by: by.map(|by| by.0) })
}

fn malformed(field: &str, detail: impl std::fmt::Display) -> Undecodable {
    Undecodable { code: MALFORMED_EVENT.to_owned(), message: format!("{field}: {detail}") }
}

fn join(outer: &str, inner: &str) -> String {
    if inner.is_empty() { outer.to_owned() } else { format!("{outer}.{inner}") }
}

/// The fields of an entry that are read; all others are ignored. Producers write an absent field also as an empty one.
struct Fields<'a> {
    values: [Option<&'a str>; NAMES.len()],
}

const NAMES: [&str; 7] = ["eventId", "eventType", "timestamp", "source", "tenant", "correlationId", "data"];

impl<'a> Fields<'a> {
    fn of(entry: &'a RawEntry) -> Result<Self, Undecodable> {
        let mut values = [None; NAMES.len()];
        for (name, value) in &entry.fields {
            let Some(slot) = NAMES.iter().position(|known| known == name) else { continue };
            // Two readers could take different ones: that is no basis for a decision.
            if values[slot].is_some() {
                return Err(malformed(name, "is there more than once"));
            }
            values[slot] = Some(value.as_str()).filter(|value| !value.is_empty());
        }
        Ok(Self { values })
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        NAMES.iter().position(|known| *known == name).and_then(|slot| self.values[slot])
    }

    fn required(&self, name: &str) -> Result<&'a str, Undecodable> {
        self.get(name).ok_or_else(|| malformed(name, "is required"))
    }

    fn name(&self, name: &str) -> Result<Option<&'a str>, Undecodable> {
        match self.get(name) {
            Some(value) if value.chars().count() > MAX_NAME_CHARS => {
                Err(malformed(name, format_args!("must have at most {MAX_NAME_CHARS} characters")))
            }
            Some(value) if value.chars().any(char::is_control) => {
                Err(malformed(name, "must not contain control characters"))
            }
            value => Ok(value),
        }
    }
}

#[cfg(test)]
mod tests;
