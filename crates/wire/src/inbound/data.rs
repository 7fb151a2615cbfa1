//! The `data` of each inbound event (DESIGN §5). Unknown fields are ignored: producers may be newer than we are.

use chrono::TimeDelta;
use domain::{
    CampaignId, Definition, JsonText, Misfire, MisfireRules, OwnerId, PolicyOverrides, Reason, Status, TimerName,
    Timestamp, Window, WindowChange, WindowEnd, WindowError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fields::{Count, Fault, Id, Object, Text, Time};

/// A campaign exists.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CampaignCreated {
    /// The producer's own id of it: 1 to 64 of `A-Z a-z 0-9 _ . : -`; an integer is taken as its digits.
    #[schemars(with = "IdSchema")]
    pub campaign_id: Id<CampaignId>,
    /// When it may start.
    #[schemars(with = "Timestamp")]
    pub start_time: Time,
    /// When it ends. When several ends are given, they must agree.
    #[schemars(with = "Option<Timestamp>")]
    pub end_time: Option<Time>,
    /// Its end as hours after the start.
    pub duration_hours: Option<u32>,
    /// Its end as minutes after the start.
    pub duration_minutes: Option<u32>,
    /// Whether it closes by itself at its end; true unless said otherwise.
    pub auto_close: Option<bool>,
    /// Whether the reward claim opens by itself after the close; true unless said otherwise.
    pub rewards_enabled: Option<bool>,
    /// Whether it closes when the target is reached; false unless said otherwise.
    pub close_on_target: Option<bool>,
    /// Engagements to reach.
    pub target_engagements: Option<u64>,
    /// Whose it is.
    #[schemars(with = "Option<IdSchema>")]
    pub owner_id: Option<Id<OwnerId>>,
    /// Its own waiting times.
    pub policy: Option<PolicyFields>,
    /// The producer's own data, an object up to 16 KiB, returned as given.
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub metadata: Option<Object>,
}

impl CampaignCreated {
    /// The campaign that it describes.
    ///
    /// # Errors
    /// [`Fault`] names the field when the window is none.
    pub fn into_definition(self) -> Result<(CampaignId, Definition), Fault> {
        let ends = window_ends(self.end_time, self.duration_hours, self.duration_minutes);
        let window = Window::from_ends(self.start_time.0, &ends).map_err(window_fault)?;
        let definition = Definition {
            window,
            auto_close: self.auto_close.unwrap_or(true),
            rewards_enabled: self.rewards_enabled.unwrap_or(true),
            target_engagements: self.target_engagements,
            close_on_target: self.close_on_target.unwrap_or(false),
            owner: self.owner_id.map(|owner| owner.0),
            policy: self.policy.unwrap_or_default().into(),
            metadata: self.metadata.map_or_else(JsonText::empty, |metadata| metadata.0),
        };
        Ok((self.campaign_id.0, definition))
    }
}

/// A wrong window as a fault of the field that is to blame.
pub(crate) fn window_fault(error: WindowError) -> Fault {
    let field = if error == WindowError::OutOfRange { "startTime" } else { "endTime" };
    Fault::of(field, error)
}

/// The ends of a window, as many as were given.
pub fn window_ends(end: Option<Time>, hours: Option<u32>, minutes: Option<u32>) -> Vec<WindowEnd> {
    let end = end.map(|end| WindowEnd::At(end.0));
    let hours = hours.map(|hours| WindowEnd::After(TimeDelta::hours(i64::from(hours))));
    let minutes = minutes.map(|minutes| WindowEnd::After(TimeDelta::minutes(i64::from(minutes))));
    [end, hours, minutes].into_iter().flatten().collect()
}

/// A campaign's own waiting times in seconds; what is absent keeps its default.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyFields {
    /// CREATED: it expires this long after the end of the window.
    pub created_expiry_seconds: Option<u32>,
    /// RUNNING: it expires this long after the end of the window.
    pub running_expiry_seconds: Option<u32>,
    /// CLOSED: the claim opens this long after the close.
    pub reward_claim_delay_seconds: Option<u32>,
    /// CLOSED: it expires this long after the close.
    pub closed_expiry_seconds: Option<u32>,
    /// `REWARD_CLAIM`: it expires this long after the opening.
    pub reward_claim_seconds: Option<u32>,
    /// `REWARD_CLAIM`: people are reminded this long before the expiry.
    pub reminder_lead_seconds: Option<u32>,
    /// A timer later than this follows its `misfire` rule.
    pub reminder_max_late_seconds: Option<u32>,
    /// What happens to a timer that is too late, per kind.
    pub misfire: Option<MisfireFields>,
}

impl From<PolicyFields> for PolicyOverrides {
    fn from(fields: PolicyFields) -> Self {
        Self {
            created_expiry_seconds: fields.created_expiry_seconds,
            running_expiry_seconds: fields.running_expiry_seconds,
            reward_claim_delay_seconds: fields.reward_claim_delay_seconds,
            closed_expiry_seconds: fields.closed_expiry_seconds,
            reward_claim_seconds: fields.reward_claim_seconds,
            reminder_lead_seconds: fields.reminder_lead_seconds,
            reminder_max_late_seconds: fields.reminder_max_late_seconds,
            misfire: fields.misfire.unwrap_or_default().into(),
        }
    }
}

/// What happens to a timer that is too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MisfireRule {
    /// It fires all the same.
    Fire,
    /// It is skipped, and that is recorded.
    Skip,
    /// It waits for an operator.
    Hold,
}

impl From<MisfireRule> for Misfire {
    fn from(rule: MisfireRule) -> Self {
        match rule {
            MisfireRule::Fire => Self::Fire,
            MisfireRule::Skip => Self::Skip,
            MisfireRule::Hold => Self::Hold,
        }
    }
}

impl From<Misfire> for MisfireRule {
    fn from(rule: Misfire) -> Self {
        match rule {
            Misfire::Fire => Self::Fire,
            Misfire::Skip => Self::Skip,
            Misfire::Hold => Self::Hold,
        }
    }
}

/// Misfire rules by kind of timer.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub struct MisfireFields {
    /// `fire` unless said otherwise.
    pub start_campaign: Option<MisfireRule>,
    /// `fire` unless said otherwise.
    pub close_campaign: Option<MisfireRule>,
    /// `fire` unless said otherwise.
    pub open_reward_claim: Option<MisfireRule>,
    /// `skip` unless said otherwise.
    pub reward_reminder: Option<MisfireRule>,
    /// `fire` unless said otherwise.
    pub expire_campaign: Option<MisfireRule>,
    /// `skip` unless said otherwise.
    pub custom: Option<MisfireRule>,
}

impl From<MisfireFields> for MisfireRules {
    fn from(fields: MisfireFields) -> Self {
        Self {
            start: fields.start_campaign.map(Misfire::from),
            close: fields.close_campaign.map(Misfire::from),
            open_reward_claim: fields.open_reward_claim.map(Misfire::from),
            reward_reminder: fields.reward_reminder.map(Misfire::from),
            expire: fields.expire_campaign.map(Misfire::from),
            custom: fields.custom.map(Misfire::from),
        }
    }
}

/// A campaign is to change.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CampaignUpdated {
    /// Which.
    #[schemars(with = "IdSchema")]
    pub campaign_id: Id<CampaignId>,
    /// What to change; what is absent stays.
    pub changes: Changes,
    /// Why.
    #[schemars(with = "Option<String>")]
    pub reason: Option<Text<Reason>>,
    /// Who wants it.
    #[schemars(with = "Option<String>")]
    pub updated_by: Option<Id<Reason>>,
    /// The version that the sender saw; with another one the update is refused.
    pub expected_version: Option<u64>,
}

/// What to change; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Changes {
    /// A new start, while it is CREATED.
    #[schemars(with = "Option<Timestamp>")]
    pub start_time: Option<Time>,
    /// A new end, while it is CREATED or RUNNING.
    #[schemars(with = "Option<Timestamp>")]
    pub end_time: Option<Time>,
    /// A new end, as hours after the start.
    pub duration_hours: Option<u32>,
    /// A new end, as minutes after the start.
    pub duration_minutes: Option<u32>,
    /// Whether it closes by itself.
    pub auto_close: Option<bool>,
    /// Whether the reward claim opens by itself.
    pub rewards_enabled: Option<bool>,
    /// Replaces the metadata as a whole.
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub metadata: Option<Object>,
}

impl From<Changes> for domain::Changes {
    fn from(changes: Changes) -> Self {
        Self {
            window: WindowChange {
                start: changes.start_time.map(|start| start.0),
                ends: window_ends(changes.end_time, changes.duration_hours, changes.duration_minutes),
            },
            auto_close: changes.auto_close,
            rewards_enabled: changes.rewards_enabled,
            metadata: changes.metadata.map(|metadata| metadata.0),
        }
    }
}

/// A campaign is called off.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CampaignCancelled {
    /// Which.
    #[schemars(with = "IdSchema")]
    pub campaign_id: Id<CampaignId>,
    /// Why.
    #[schemars(with = "Option<String>")]
    pub reason: Option<Text<Reason>>,
    /// Who wants it.
    #[schemars(with = "Option<String>")]
    pub cancelled_by: Option<Id<Reason>>,
}

/// A campaign is to be moved to another status by hand.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusRequested {
    /// Which.
    #[schemars(with = "IdSchema")]
    pub campaign_id: Id<CampaignId>,
    /// Where to.
    #[schemars(with = "crate::http::StatusName")]
    pub to: Text<Status>,
    /// Why.
    #[schemars(with = "Option<String>")]
    pub reason: Option<Text<Reason>>,
    /// Who wants it.
    #[schemars(with = "Option<String>")]
    pub requested_by: Option<Id<Reason>>,
    /// The version that the sender saw; with another one the request is refused.
    pub expected_version: Option<u64>,
}

/// A CUSTOM reminder is to be scheduled.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimerRequested {
    /// Of which campaign.
    #[schemars(with = "IdSchema")]
    pub campaign_id: Id<CampaignId>,
    /// Its name, unique among the campaign's pending ones.
    #[schemars(with = "String")]
    pub name: Text<TimerName>,
    /// When it fires.
    #[schemars(with = "Timestamp")]
    pub at: Time,
    /// What it carries, an object up to 16 KiB.
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub payload: Option<Object>,
}

/// Engagements were counted.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricRecorded {
    /// Of which campaign.
    #[schemars(with = "IdSchema")]
    pub campaign_id: Id<CampaignId>,
    /// How many in all, so far; at most 2^53 - 1.
    #[schemars(with = "u64", range(max = 9_007_199_254_740_991_u64))]
    pub engagements: Count,
}

/// How an id looks in a schema.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum IdSchema {
    /// As text.
    Text(#[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9_.:-]+$"))] String),
    /// As an integer, taken as its digits.
    Integer(i64),
}
