//! A campaign's waiting times: what a request overrides, and what is in force.

use chrono::TimeDelta;
use domain::{LifecycleTimer, MisfireRules, Policy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::inbound::{MisfireFields, MisfireRule, PolicyFields};

/// A campaign's own waiting times, in seconds up to 366 days; what is absent keeps its default.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyOverridesBody {
    /// CREATED: it expires this long after the end of the window (default 3600).
    #[schema(maximum = 31_622_400)]
    pub created_expiry_seconds: Option<u32>,
    /// RUNNING: it expires this long after the end of the window (default 7200).
    #[schema(maximum = 31_622_400)]
    pub running_expiry_seconds: Option<u32>,
    /// CLOSED: the claim opens this long after the close (default 300).
    #[schema(maximum = 31_622_400)]
    pub reward_claim_delay_seconds: Option<u32>,
    /// CLOSED: it expires this long after the close (default 172800).
    #[schema(maximum = 31_622_400)]
    pub closed_expiry_seconds: Option<u32>,
    /// `REWARD_CLAIM`: it expires this long after the opening (default 604800).
    #[schema(maximum = 31_622_400)]
    pub reward_claim_seconds: Option<u32>,
    /// `REWARD_CLAIM`: people are reminded this long before the expiry (default 86400).
    #[schema(maximum = 31_622_400)]
    pub reminder_lead_seconds: Option<u32>,
    /// A timer later than this follows its `misfire` rule (default 3600).
    #[schema(maximum = 31_622_400)]
    pub reminder_max_late_seconds: Option<u32>,
    /// What happens to a timer that is too late, per kind.
    pub misfire: Option<MisfireOverrides>,
}

/// What happens to a timer that is too late, per kind.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE", deny_unknown_fields)]
pub struct MisfireOverrides {
    /// Default `fire`.
    pub start_campaign: Option<MisfireRule>,
    /// Default `fire`.
    pub close_campaign: Option<MisfireRule>,
    /// Default `fire`.
    pub open_reward_claim: Option<MisfireRule>,
    /// Default `skip`.
    pub reward_reminder: Option<MisfireRule>,
    /// Default `fire`.
    pub expire_campaign: Option<MisfireRule>,
    /// Default `skip`.
    pub custom: Option<MisfireRule>,
}

impl From<PolicyOverridesBody> for PolicyFields {
    fn from(body: PolicyOverridesBody) -> Self {
        Self {
            created_expiry_seconds: body.created_expiry_seconds,
            running_expiry_seconds: body.running_expiry_seconds,
            reward_claim_delay_seconds: body.reward_claim_delay_seconds,
            closed_expiry_seconds: body.closed_expiry_seconds,
            reward_claim_seconds: body.reward_claim_seconds,
            reminder_lead_seconds: body.reminder_lead_seconds,
            reminder_max_late_seconds: body.reminder_max_late_seconds,
            misfire: body.misfire.map(|rules| MisfireFields {
                start_campaign: rules.start_campaign,
                close_campaign: rules.close_campaign,
                open_reward_claim: rules.open_reward_claim,
                reward_reminder: rules.reward_reminder,
                expire_campaign: rules.expire_campaign,
                custom: rules.custom,
            }),
        }
    }
}

/// The waiting times in force, in seconds.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyBody {
    /// CREATED: it expires this long after the end of the window.
    pub created_expiry_seconds: u64,
    /// RUNNING: it expires this long after the end of the window.
    pub running_expiry_seconds: u64,
    /// CLOSED: the claim opens this long after the close.
    pub reward_claim_delay_seconds: u64,
    /// CLOSED: it expires this long after the close.
    pub closed_expiry_seconds: u64,
    /// `REWARD_CLAIM`: it expires this long after the opening.
    pub reward_claim_seconds: u64,
    /// `REWARD_CLAIM`: people are reminded this long before the expiry.
    pub reminder_lead_seconds: u64,
    /// A timer later than this follows its `misfire` rule.
    pub reminder_max_late_seconds: u64,
    /// What happens to a timer that is too late, per kind.
    pub misfire: MisfireBody,
}

/// What happens to a timer that is too late, per kind.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub struct MisfireBody {
    /// Of the start.
    pub start_campaign: MisfireRule,
    /// Of the close.
    pub close_campaign: MisfireRule,
    /// Of the opening of the claim.
    pub open_reward_claim: MisfireRule,
    /// Of the reminder to claim.
    pub reward_reminder: MisfireRule,
    /// Of the expiry.
    pub expire_campaign: MisfireRule,
    /// Of CUSTOM reminders.
    pub custom: MisfireRule,
}

fn seconds(wait: TimeDelta) -> u64 {
    u64::try_from(wait.num_seconds()).unwrap_or(0)
}

impl From<&Policy> for PolicyBody {
    fn from(policy: &Policy) -> Self {
        Self {
            created_expiry_seconds: seconds(policy.created_expiry),
            running_expiry_seconds: seconds(policy.running_expiry),
            reward_claim_delay_seconds: seconds(policy.reward_claim_delay),
            closed_expiry_seconds: seconds(policy.closed_expiry),
            reward_claim_seconds: seconds(policy.reward_claim),
            reminder_lead_seconds: seconds(policy.reminder_lead),
            reminder_max_late_seconds: seconds(policy.reminder_max_late),
            misfire: MisfireBody::from(&policy.misfire),
        }
    }
}

impl From<&MisfireRules> for MisfireBody {
    fn from(rules: &MisfireRules) -> Self {
        let rule = |kind| MisfireRule::from(rules.of(kind));
        Self {
            start_campaign: rule(LifecycleTimer::Start),
            close_campaign: rule(LifecycleTimer::Close),
            open_reward_claim: rule(LifecycleTimer::OpenRewardClaim),
            reward_reminder: rule(LifecycleTimer::RewardReminder),
            expire_campaign: rule(LifecycleTimer::Expire),
            custom: rules.of_custom().into(),
        }
    }
}
