//! What may be asked of a campaign that exists, and events handed in over HTTP.

use domain::{CommandId, Reason, Status, TimerName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::StatusName;
use crate::fields::{EventData, Object, Text, Time};
use crate::inbound;

/// What to change; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateCampaign {
    /// A new start, while it is CREATED.
    #[schema(value_type = Option<DateTime<Utc>>)]
    pub start_time: Option<Time>,
    /// A new end, while it is CREATED or RUNNING.
    #[schema(value_type = Option<DateTime<Utc>>)]
    pub end_time: Option<Time>,
    /// A new end, as whole hours after the start.
    pub duration_hours: Option<u32>,
    /// A new end, as whole minutes after the start.
    pub duration_minutes: Option<u32>,
    /// Whether it closes by itself, while it is CREATED or RUNNING.
    pub auto_close: Option<bool>,
    /// Whether the reward claim opens by itself, until it is open.
    pub rewards_enabled: Option<bool>,
    /// Replaces the metadata as a whole.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Object>,
    /// Why.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 500)]
    pub reason: Option<Text<Reason>>,
}

impl UpdateCampaign {
    /// What it changes, and why.
    pub fn into_changes(self) -> (domain::Changes, Option<Reason>) {
        let changes = inbound::Changes {
            start_time: self.start_time,
            end_time: self.end_time,
            duration_hours: self.duration_hours,
            duration_minutes: self.duration_minutes,
            auto_close: self.auto_close,
            rewards_enabled: self.rewards_enabled,
            metadata: self.metadata,
        };
        (changes.into(), self.reason.map(|reason| reason.0))
    }
}

/// A campaign is called off.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelBody {
    /// Why.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 500)]
    pub reason: Option<Text<Reason>>,
}

/// A campaign is moved to another status by hand.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeStatusBody {
    /// Where to.
    #[schema(value_type = StatusName)]
    pub to: Text<Status>,
    /// Why.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 500)]
    pub reason: Option<Text<Reason>>,
}

/// A CUSTOM reminder.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleTimerBody {
    /// Its name, unique among the campaign's pending ones.
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_.:-]+$")]
    pub name: Text<TimerName>,
    /// When it fires.
    #[schema(value_type = DateTime<Utc>)]
    pub at: Time,
    /// What it carries, an object up to 16 KiB.
    #[schema(value_type = Option<Object>)]
    pub payload: Option<Object>,
}

/// A dead letter is given up.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscardBody {
    /// Why.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 500)]
    pub reason: Option<Text<Reason>>,
}

/// An event for the inbound stream, for producers that do not write to the stream itself. The tenant is the token's.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventBody {
    /// Your id of it: the same id again has no second effect.
    #[schema(value_type = String, min_length = 1, max_length = 255)]
    pub event_id: Text<CommandId>,
    /// What happened: `campaign.created`, `campaign.updated`, `campaign.cancelled`, `campaign.status.requested`,
    /// `campaign.timer.requested` or `campaign.metric.recorded`.
    #[schema(example = "campaign.created")]
    pub event_type: String,
    /// When; now unless told.
    #[schema(value_type = Option<DateTime<Utc>>)]
    pub timestamp: Option<Time>,
    /// Who says so; the token's subject unless told.
    pub source: Option<String>,
    /// What you follow it by.
    #[schema(max_length = 255)]
    pub correlation_id: Option<String>,
    /// What it follows from.
    #[schema(max_length = 255)]
    pub causation_id: Option<String>,
    /// Its data, an object up to 64 KiB.
    #[schema(value_type = Object)]
    pub data: EventData,
}

/// An event is in the inbound stream.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventReceipt {
    /// Its id there.
    pub entry_id: String,
}
