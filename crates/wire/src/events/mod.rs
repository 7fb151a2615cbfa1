//! The `data` of what the service tells the world, in streams and in WebSocket frames alike. Built from a journal record
//! by borrowing; which record makes which event is said in `outbound` and `frames`.

mod campaign;
mod timer;

use chrono::{DateTime, Utc};
use ports::journal::CampaignStep;
use schemars::JsonSchema;
use serde::Serialize;

pub use campaign::{CampaignInitialized, Changed, StatusChange, TargetReached, Updated};
pub use timer::{CancelReason, TimerEvent};

use crate::json::Embedded;

/// A command was refused, or a campaign needs an operator.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rejected<'a> {
    /// The campaign that it named.
    pub campaign_id: &'a str,
    /// The command: `create`, `update`, `cancel`, `change_status`, `schedule_timer`, `cancel_timer`, `fire_timer`,
    /// `execute_timer` or `record_engagements`.
    pub command: &'a str,
    /// The command's id, which is the event's where an event asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_id: Option<&'a str>,
    /// A stable code for programs.
    pub code: &'a str,
    /// Why, in words.
    pub message: &'a str,
    /// When.
    pub occurred_at: DateTime<Utc>,
}

/// Something about the service itself.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Notice<'a> {
    /// What, as `area.verb`.
    pub name: &'a str,
    /// On what.
    pub subject: &'a str,
    /// Details.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub detail: Embedded<'a>,
    /// When.
    pub occurred_at: DateTime<Utc>,
}

/// How much a notification matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Good to know.
    Info,
    /// Something did not go as planned.
    Warning,
}

/// Something that people want to know.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Notification<'a> {
    /// About which campaign.
    pub campaign_id: &'a str,
    /// How much it matters.
    pub level: Level,
    /// A stable code: `reminder`, `target_reached`, `timer_skipped`.
    pub code: &'static str,
    /// In words.
    pub message: String,
    /// The timer behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timer: Option<TimerEvent<'a>>,
    /// The campaign's version after it.
    pub sequence: u64,
    /// When.
    pub occurred_at: DateTime<Utc>,
}

impl<'a> Notification<'a> {
    pub(crate) fn of(step: &'a CampaignStep, level: Level, code: &'static str, message: String) -> Self {
        Self {
            campaign_id: step.campaign.as_str(),
            level,
            code,
            message,
            timer: None,
            sequence: step.step.sequence,
            occurred_at: step.step.at,
        }
    }
}
