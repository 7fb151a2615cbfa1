//! What is told about a timer.

use chrono::{DateTime, Utc};
use domain::{CampaignId, SkipReason, Timer, Timestamp};
use ports::journal::CampaignStep;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::json::Embedded;
use crate::time;

/// Why a timer will not fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// The campaign moved on, or was changed: its timers were planned anew.
    Superseded,
    /// Somebody cancelled it.
    Requested,
    /// It came due too late, and its misfire rule says skip.
    TooLate,
    /// It would have started a campaign whose window was over.
    WindowOver,
}

impl From<SkipReason> for CancelReason {
    fn from(reason: SkipReason) -> Self {
        match reason {
            SkipReason::TooLate => Self::TooLate,
            SkipReason::WindowOver => Self::WindowOver,
        }
    }
}

/// Something happened to a timer.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimerEvent<'a> {
    /// Its id.
    pub timer_id: Uuid,
    /// Its campaign.
    pub campaign_id: &'a str,
    /// What it is for: `START_CAMPAIGN`, `CLOSE_CAMPAIGN`, `OPEN_REWARD_CLAIM`, `REWARD_REMINDER`, `EXPIRE_CAMPAIGN` or
    /// `CUSTOM`.
    pub timer_type: &'a str,
    /// Its name, for CUSTOM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    /// What it carries, for CUSTOM.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub payload: Option<Embedded<'a>>,
    /// When it fires, or was to fire.
    pub scheduled_at: DateTime<Utc>,
    /// When it fired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executed_at: Option<DateTime<Utc>>,
    /// How much later than scheduled that was, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late_by_ms: Option<u64>,
    /// How often it was tried in vain.
    pub retry_count: u32,
    /// When it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_retry_at: Option<DateTime<Utc>>,
    /// What went wrong the last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a str>,
    /// Why it will not fire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<CancelReason>,
    /// The campaign's version after it; absent when the campaign did not change (`timer.failed`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
}

impl<'a> TimerEvent<'a> {
    fn plain(campaign: &'a CampaignId, timer: &'a Timer) -> Self {
        Self {
            timer_id: timer.id.0,
            campaign_id: campaign.as_str(),
            timer_type: timer.kind.as_str(),
            name: timer.kind.name().map(domain::TimerName::as_str),
            payload: timer.payload.as_ref().map(|payload| Embedded(payload.as_str())),
            scheduled_at: timer.due,
            executed_at: None,
            late_by_ms: None,
            retry_count: 0,
            next_retry_at: None,
            error: None,
            reason: None,
            sequence: None,
        }
    }

    /// `timer` in `step`, with nothing more to tell: it was armed, or it is held.
    pub(crate) fn of(step: &'a CampaignStep, timer: &'a Timer) -> Self {
        Self { sequence: Some(step.step.sequence), ..Self::plain(&step.campaign, timer) }
    }

    /// `timer` fired with `step`.
    pub(crate) fn executed(step: &'a CampaignStep, timer: &'a Timer) -> Self {
        let at: Timestamp = step.step.at;
        Self { executed_at: Some(at), late_by_ms: Some(time::late_by_ms(timer.due, at)), ..Self::of(step, timer) }
    }

    /// `timer` will not fire.
    pub(crate) fn cancelled(step: &'a CampaignStep, timer: &'a Timer, reason: CancelReason) -> Self {
        Self { reason: Some(reason), ..Self::of(step, timer) }
    }

    /// `timer` was given up.
    pub(crate) fn failed(campaign: &'a CampaignId, timer: &'a Timer, attempts: u32, error: &'a str) -> Self {
        Self { retry_count: attempts, error: Some(error), ..Self::plain(campaign, timer) }
    }
}
