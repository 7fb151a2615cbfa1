//! A campaign, as it is sent and as it is shown; one or many.

use chrono::{DateTime, Utc};
use domain::{Campaign, CampaignId, Definition, OwnerId, Timer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{PolicyBody, PolicyOverridesBody, Problem, StatusName};
use crate::fields::{Fault, Id, Object, Time};
use crate::inbound::CampaignCreated;
use crate::json::Embedded;

/// A new campaign. Its end is told by `endTime`, `durationHours` or `durationMinutes`; several must agree.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateCampaign {
    /// Your own id of it, unique in your tenant. An integer is taken as its digits.
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_.:-]+$", example = "summer-1")]
    pub campaign_id: Id<CampaignId>,
    /// When it may start.
    #[schema(value_type = DateTime<Utc>)]
    pub start_time: Time,
    /// When it ends.
    #[schema(value_type = Option<DateTime<Utc>>)]
    pub end_time: Option<Time>,
    /// Its end as whole hours after the start.
    pub duration_hours: Option<u32>,
    /// Its end as whole minutes after the start.
    pub duration_minutes: Option<u32>,
    /// Whether it closes by itself at its end.
    #[schema(default = true)]
    pub auto_close: Option<bool>,
    /// Whether the reward claim opens by itself after the close.
    #[schema(default = true)]
    pub rewards_enabled: Option<bool>,
    /// Whether it closes when the target is reached.
    #[schema(default = false)]
    pub close_on_target: Option<bool>,
    /// Engagements to reach.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    pub target_engagements: Option<u64>,
    /// Whose it is.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_.:-]+$")]
    pub owner_id: Option<Id<OwnerId>>,
    /// Its own waiting times.
    pub policy: Option<PolicyOverridesBody>,
    /// Your own data, an object up to 16 KiB, returned as given.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Object>,
}

impl CreateCampaign {
    /// The campaign that it describes.
    ///
    /// # Errors
    /// [`Fault`] names the field when the window is none.
    pub fn into_definition(self) -> Result<(CampaignId, Definition), Fault> {
        CampaignCreated {
            campaign_id: self.campaign_id,
            start_time: self.start_time,
            end_time: self.end_time,
            duration_hours: self.duration_hours,
            duration_minutes: self.duration_minutes,
            auto_close: self.auto_close,
            rewards_enabled: self.rewards_enabled,
            close_on_target: self.close_on_target,
            target_engagements: self.target_engagements,
            owner_id: self.owner_id,
            policy: self.policy.map(Into::into),
            metadata: self.metadata,
        }
        .into_definition()
    }
}

/// Many new campaigns.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchBody {
    /// At most 1,000.
    #[schema(min_items = 1, max_items = 1000)]
    pub campaigns: Vec<CreateCampaign>,
}

/// What became of many new campaigns.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchResults {
    /// One for each, in their order.
    pub results: Vec<BatchResult>,
}

/// What became of one of many.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BatchResult {
    /// Which, as far as its id could be read.
    pub campaign_id: Option<String>,
    /// What became of it.
    pub outcome: BatchOutcome,
    /// Why not, when it was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// What became of one of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BatchOutcome {
    /// It is new.
    Created,
    /// An equal one was there already.
    Unchanged,
    /// This very command came before.
    Duplicate,
    /// It was refused.
    Rejected,
}

/// A campaign as it stands.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CampaignBody {
    /// Its producer's id of it.
    pub campaign_id: String,
    /// Where it stands.
    pub status: StatusName,
    /// How often it changed; the `ETag`.
    pub version: u64,
    /// When it may start.
    pub start_time: DateTime<Utc>,
    /// When it ends.
    pub end_time: DateTime<Utc>,
    /// Whether it closes by itself at its end.
    pub auto_close: bool,
    /// Whether the reward claim opens by itself after the close.
    pub rewards_enabled: bool,
    /// Whether it closes when the target is reached.
    pub close_on_target: bool,
    /// Engagements to reach.
    pub target_engagements: Option<u64>,
    /// Engagements counted so far.
    pub engagements: u64,
    /// Whose it is.
    pub owner_id: Option<String>,
    /// The waiting times in force.
    pub policy: PolicyBody,
    /// Its producer's own data, as given.
    #[schema(value_type = Object)]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub metadata: Box<RawValue>,
    /// When it became known.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// What happens next by itself.
    pub next_timer: Option<NextTimer>,
}

/// The timer that fires next.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NextTimer {
    /// Its id.
    pub timer_id: Uuid,
    /// What it is for: `START_CAMPAIGN`, `CLOSE_CAMPAIGN`, `OPEN_REWARD_CLAIM`, `REWARD_REMINDER`, `EXPIRE_CAMPAIGN` or
    /// `CUSTOM`.
    pub timer_type: String,
    /// Its name, for CUSTOM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it fires.
    pub due_at: DateTime<Utc>,
}

impl From<&Timer> for NextTimer {
    fn from(timer: &Timer) -> Self {
        Self {
            timer_id: timer.id.0,
            timer_type: timer.kind.as_str().to_owned(),
            name: timer.kind.name().map(|name| name.as_str().to_owned()),
            due_at: timer.due,
        }
    }
}

impl From<&Campaign> for CampaignBody {
    fn from(campaign: &Campaign) -> Self {
        let definition = &campaign.definition;
        Self {
            campaign_id: campaign.key.id.as_str().to_owned(),
            status: campaign.status().into(),
            version: campaign.version,
            start_time: definition.window.start(),
            end_time: definition.window.end(),
            auto_close: definition.auto_close,
            rewards_enabled: definition.rewards_enabled,
            close_on_target: definition.close_on_target,
            target_engagements: definition.target_engagements,
            engagements: campaign.engagements,
            owner_id: definition.owner.as_ref().map(|owner| owner.as_str().to_owned()),
            policy: PolicyBody::from(&campaign.policy),
            metadata: Embedded(definition.metadata.as_str()).to_raw(),
            created_at: campaign.created_at,
            updated_at: campaign.updated_at,
            next_timer: campaign.next_timer().map(NextTimer::from),
        }
    }
}
