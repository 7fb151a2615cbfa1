//! Timers, who acted, and what is going to happen when.

use chrono::{DateTime, Utc};
use domain::{CampaignId, Timer};
use ports::journal::Actor;
use ports::query::{ForecastRow, TimerRow, TimerState};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::TimerStateName;
use crate::json::Embedded;

/// A timer of a campaign.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimerBody {
    /// Its id.
    pub timer_id: Uuid,
    /// Its campaign.
    pub campaign_id: String,
    /// What it is for: `START_CAMPAIGN`, `CLOSE_CAMPAIGN`, `OPEN_REWARD_CLAIM`, `REWARD_REMINDER`, `EXPIRE_CAMPAIGN` or
    /// `CUSTOM`.
    pub timer_type: String,
    /// Its name, for CUSTOM.
    pub name: Option<String>,
    /// What it carries, for CUSTOM.
    #[schema(value_type = Option<Object>)]
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub payload: Option<Box<RawValue>>,
    /// Its state.
    pub state: TimerStateName,
    /// Whether it came too late and waits for an operator.
    pub held: bool,
    /// When it fires.
    pub due_at: DateTime<Utc>,
    /// How often it was tried in vain.
    pub retry_count: u32,
    /// When it is tried again.
    pub next_retry_at: Option<DateTime<Utc>>,
    /// What went wrong the last time.
    pub error: Option<String>,
    /// When it fired or was skipped.
    pub completed_at: Option<DateTime<Utc>>,
    /// The version of the campaign that it was planned for.
    pub generation: u64,
}

impl TimerBody {
    /// A timer that has just been armed.
    pub fn pending(campaign: &CampaignId, timer: &Timer) -> Self {
        Self {
            timer_id: timer.id.0,
            campaign_id: campaign.as_str().to_owned(),
            timer_type: timer.kind.as_str().to_owned(),
            name: timer.kind.name().map(|name| name.as_str().to_owned()),
            payload: timer.payload.as_ref().map(|payload| Embedded(payload.as_str()).to_raw()),
            state: TimerState::Pending.into(),
            held: false,
            due_at: timer.due,
            retry_count: 0,
            next_retry_at: None,
            error: None,
            completed_at: None,
            generation: timer.generation,
        }
    }
}

impl From<&TimerRow> for TimerBody {
    fn from(row: &TimerRow) -> Self {
        Self {
            state: row.state.into(),
            held: row.held,
            retry_count: row.attempts,
            next_retry_at: row.retry_at,
            error: row.error.clone(),
            completed_at: row.completed_at,
            ..Self::pending(&row.key.id, &row.timer)
        }
    }
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, JsonSchema)]
pub struct ActorBody {
    /// In what capacity: `producer`, `service`, `operator`, `timer` or `system`.
    pub kind: String,
    /// Who.
    pub subject: String,
}

impl From<&Actor> for ActorBody {
    fn from(actor: &Actor) -> Self {
        Self { kind: actor.kind.as_str().to_owned(), subject: actor.subject.clone() }
    }
}

/// What is going to happen when, by the timers that are pending now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForecastBody {
    /// From here.
    pub from: DateTime<Utc>,
    /// To there, which is not part of it.
    pub to: DateTime<Utc>,
    /// How long each bucket is.
    pub bucket_seconds: u32,
    /// The buckets in which something happens, in order.
    pub buckets: Vec<ForecastBucket>,
}

/// One stretch of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForecastBucket {
    /// Its beginning.
    pub start: DateTime<Utc>,
    /// How many timers come due in it.
    pub total: u64,
    /// The same by kind.
    pub timers: Vec<ForecastCount>,
}

/// How many timers of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForecastCount {
    /// The kind.
    pub timer_type: String,
    /// How many.
    pub count: u64,
}

impl ForecastBody {
    /// Puts the rows of one bucket together.
    pub fn new(from: DateTime<Utc>, to: DateTime<Utc>, bucket_seconds: u32, rows: &[ForecastRow]) -> Self {
        let mut buckets = std::collections::BTreeMap::new();
        for row in rows {
            let bucket = buckets.entry(row.bucket).or_insert_with(|| ForecastBucket {
                start: row.bucket,
                total: 0,
                timers: Vec::new(),
            });
            bucket.total += row.count;
            bucket.timers.push(ForecastCount { timer_type: row.kind.clone(), count: row.count });
        }
        let buckets = buckets
            .into_values()
            .map(|mut bucket| {
                bucket.timers.sort_by(|a, b| a.timer_type.cmp(&b.timer_type));
                bucket
            })
            .collect();
        Self { from, to, bucket_seconds, buckets }
    }
}
