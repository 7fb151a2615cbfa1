//! What is told about a campaign.

use chrono::{DateTime, Utc};
use domain::{Definition, JsonText, Policy, Reason, Status, Timer, Trigger, Window};
use ports::journal::CampaignStep;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::http::{PolicyBody, StatusName};
use crate::json::Embedded;
use crate::time;

/// A campaign became known.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CampaignInitialized<'a> {
    /// Its producer's id of it.
    pub campaign_id: &'a str,
    /// Where it stands: CREATED.
    pub status: StatusName,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_engagements: Option<u64>,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner_id: Option<&'a str>,
    /// The waiting times in force.
    pub policy: PolicyBody,
    /// Its producer's own data, as given.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub metadata: Embedded<'a>,
    /// The campaign's version after it: 1.
    pub sequence: u64,
    /// When.
    pub occurred_at: DateTime<Utc>,
}

impl<'a> CampaignInitialized<'a> {
    pub(crate) fn of(step: &'a CampaignStep, definition: &'a Definition, policy: &Policy) -> Self {
        Self {
            campaign_id: step.campaign.as_str(),
            status: step.status.into(),
            start_time: definition.window.start(),
            end_time: definition.window.end(),
            auto_close: definition.auto_close,
            rewards_enabled: definition.rewards_enabled,
            close_on_target: definition.close_on_target,
            target_engagements: definition.target_engagements,
            owner_id: definition.owner.as_ref().map(domain::OwnerId::as_str),
            policy: PolicyBody::from(policy),
            metadata: Embedded(definition.metadata.as_str()),
            sequence: step.step.sequence,
            occurred_at: step.step.at,
        }
    }
}

/// A campaign's status changed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusChange<'a> {
    /// Its producer's id of it.
    pub campaign_id: &'a str,
    /// From here; null at the beginning.
    pub from_status: Option<StatusName>,
    /// To there.
    pub to_status: StatusName,
    /// By what: `producer`, `operator`, `target`, or the kind of the timer.
    pub trigger: &'static str,
    /// Why, when somebody said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    /// The campaign's version after it.
    pub sequence: u64,
    /// When.
    pub occurred_at: DateTime<Utc>,
    /// When it should have happened, if a timer did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled_for: Option<DateTime<Utc>>,
    /// How much later than that it happened, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late_by_ms: Option<u64>,
    /// Its producer's own data, as given.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub metadata: Embedded<'a>,
}

impl<'a> StatusChange<'a> {
    pub(crate) fn of(
        step: &'a CampaignStep,
        from: Option<Status>,
        trigger: Trigger,
        reason: Option<&'a Reason>,
        timer: Option<&Timer>,
    ) -> Self {
        let at = step.step.at;
        Self {
            campaign_id: step.campaign.as_str(),
            from_status: from.map(StatusName::from),
            to_status: step.status.into(),
            trigger: trigger.as_str(),
            reason: reason.map(Reason::as_str),
            sequence: step.step.sequence,
            occurred_at: at,
            scheduled_for: timer.map(|timer| timer.due),
            late_by_ms: timer.map(|timer| time::late_by_ms(timer.due, at)),
            metadata: Embedded(step.metadata.as_ref().map_or("{}", JsonText::as_str)),
        }
    }
}

/// A campaign was changed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Updated<'a> {
    /// Its producer's id of it.
    pub campaign_id: &'a str,
    /// Where it stands.
    pub status: StatusName,
    /// What is different now.
    pub changes: Changed<'a>,
    /// Timers that will not fire because of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cancelled_timers: Vec<Uuid>,
    /// Why, when somebody said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    /// The campaign's version after it.
    pub sequence: u64,
    /// When.
    pub occurred_at: DateTime<Utc>,
}

/// What is different now; what is absent stayed.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Changed<'a> {
    /// The new start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<DateTime<Utc>>,
    /// The new end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<DateTime<Utc>>,
    /// Whether it closes by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_close: Option<bool>,
    /// Whether the reward claim opens by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rewards_enabled: Option<bool>,
    /// The new metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub metadata: Option<Embedded<'a>>,
    /// Engagements counted so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engagements: Option<u64>,
}

impl<'a> Changed<'a> {
    pub(crate) fn definition(
        window: Option<&Window>,
        auto_close: Option<bool>,
        rewards_enabled: Option<bool>,
        metadata: Option<&'a JsonText>,
    ) -> Self {
        Self {
            start_time: window.map(Window::start),
            end_time: window.map(Window::end),
            auto_close,
            rewards_enabled,
            metadata: metadata.map(|metadata| Embedded(metadata.as_str())),
            engagements: None,
        }
    }
}

impl<'a> Updated<'a> {
    pub(crate) fn of(step: &'a CampaignStep, changes: Changed<'a>, reason: Option<&'a Reason>) -> Self {
        Self {
            campaign_id: step.campaign.as_str(),
            status: step.status.into(),
            changes,
            cancelled_timers: step.cancelled.iter().map(|timer| timer.id.0).collect(),
            reason: reason.map(Reason::as_str),
            sequence: step.step.sequence,
            occurred_at: step.step.at,
        }
    }
}

/// A campaign's target was reached, for the first and only time.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetReached<'a> {
    /// Its producer's id of it.
    pub campaign_id: &'a str,
    /// Engagements counted so far.
    pub engagements: u64,
    /// How many were wanted.
    pub target_engagements: u64,
    /// The campaign's version after it.
    pub sequence: u64,
    /// When.
    pub occurred_at: DateTime<Utc>,
}

impl<'a> TargetReached<'a> {
    pub(crate) fn of(step: &'a CampaignStep, total: u64, target: u64) -> Self {
        Self {
            campaign_id: step.campaign.as_str(),
            engagements: total,
            target_engagements: target,
            sequence: step.step.sequence,
            occurred_at: step.step.at,
        }
    }
}
