//! Rows and the values that they hold. How campaigns and entries look inside their text is `wire::stored`'s business.

use diesel::prelude::*;
use domain::{
    Campaign, CampaignId, CampaignKey, CommandId, JsonText, LifecycleTimer, TenantId, Timer, TimerId, TimerKind,
    TimerName, Timestamp,
};
use ports::journal::{Actor, ActorKind, Cause, Fact, Position, Record};
use ports::query::{TimerRow, TimerState};
use uuid::Uuid;

use crate::failure::{Failure, corrupt};
use crate::schema::{journal, timers};

/// An unsigned number as PostgreSQL keeps it; what does not fit is beyond every limit of the domain.
pub(crate) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A number of a column that a CHECK keeps from being negative.
pub(crate) fn uint(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// A limit of a query.
pub(crate) fn limit_of(limit: usize, most: usize) -> i64 {
    i64::try_from(limit.min(most)).unwrap_or(i64::MAX)
}

/// A count of attempts, as a column has it.
pub(crate) fn attempts_column(attempts: u32) -> i32 {
    i32::try_from(attempts).unwrap_or(i32::MAX)
}

/// A count of attempts.
pub(crate) fn attempts(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

/// A short text of a column, checked again.
pub(crate) fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str, what: &str) -> Result<T, Failure> {
    text.parse().map_err(|e| corrupt(format!("{what} {text:?} {e}")))
}

/// A key out of two columns.
pub(crate) fn key(tenant: &str, id: &str) -> Result<CampaignKey, Failure> {
    Ok(CampaignKey { tenant: parse::<TenantId>(tenant, "tenant")?, id: parse::<CampaignId>(id, "campaign")? })
}

/// The campaign in a row's text, or why it cannot be read.
pub(crate) fn campaign(key: &CampaignKey, body: &str) -> Result<Campaign, String> {
    wire::stored::decode_campaign(key, body).map_err(|e| e.to_string())
}

/// A row of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = journal)]
pub(crate) struct JournalRow {
    pub(crate) position: i64,
    pub(crate) id: Uuid,
    pub(crate) at: Timestamp,
    pub(crate) tenant: String,
    pub(crate) actor_kind: String,
    pub(crate) actor_subject: String,
    pub(crate) command: Option<String>,
    pub(crate) correlation: Option<String>,
    pub(crate) kind: String,
    pub(crate) data: String,
}

impl JournalRow {
    pub(crate) fn record(&self) -> Result<Record, Failure> {
        let entry = wire::stored::decode_entry(&self.kind, &self.data)
            .map_err(|e| corrupt(format!("journal position {}: {e}", self.position)))?;
        let kind = ActorKind::ALL.into_iter().find(|k| k.as_str() == self.actor_kind);
        let kind = kind.ok_or_else(|| corrupt(format!("actor kind {:?}", self.actor_kind)))?;
        let command = self.command.as_deref().map(|c| parse::<CommandId>(c, "command")).transpose()?;
        Ok(Record {
            position: Position(uint(self.position)),
            fact: Fact {
                id: self.id,
                at: self.at,
                tenant: parse(&self.tenant, "tenant")?,
                actor: Actor { kind, subject: self.actor_subject.clone() },
                cause: Cause { command, correlation: self.correlation.clone() },
                entry,
            },
        })
    }
}

/// What a timer is, in the timer table.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = timers)]
pub(crate) struct TimerCore {
    pub(crate) id: Uuid,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) due_at: Timestamp,
    pub(crate) generation: i64,
    pub(crate) payload: Option<String>,
}

impl TimerCore {
    pub(crate) fn timer(&self) -> Result<Timer, Failure> {
        Ok(Timer {
            id: TimerId(self.id),
            kind: timer_kind(&self.kind, &self.name)?,
            due: self.due_at,
            generation: uint(self.generation),
            payload: self
                .payload
                .as_deref()
                .map(JsonText::new)
                .transpose()
                .map_err(|e| corrupt(format!("timer payload {e}")))?,
        })
    }
}

/// How a timer stands, in the timer table.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = timers)]
pub(crate) struct TimerProgress {
    pub(crate) state: String,
    pub(crate) held: bool,
    pub(crate) attempts: i32,
    pub(crate) retry_at: Option<Timestamp>,
    pub(crate) error: Option<String>,
    pub(crate) completed_at: Option<Timestamp>,
    pub(crate) fire_at: Option<Timestamp>,
    pub(crate) rank: i16,
}

impl TimerProgress {
    /// What `fire_at` must be: the instant at which the clock takes the timer, if it does at all.
    pub(crate) fn must_fire_at(&self, due_at: Timestamp) -> Option<Timestamp> {
        let armed = self.state == TimerState::Pending.as_str() && !self.held;
        armed.then(|| self.retry_at.unwrap_or(due_at))
    }
}

/// The whole row, but for what is only an index.
pub(crate) fn timer_row(key: CampaignKey, core: &TimerCore, progress: TimerProgress) -> Result<TimerRow, Failure> {
    let state = TimerState::ALL.into_iter().find(|s| s.as_str() == progress.state);
    Ok(TimerRow {
        key,
        timer: core.timer()?,
        state: state.ok_or_else(|| corrupt(format!("timer state {:?}", progress.state)))?,
        held: progress.held,
        attempts: attempts(progress.attempts),
        retry_at: progress.retry_at,
        error: progress.error,
        completed_at: progress.completed_at,
    })
}

fn timer_kind(kind: &str, name: &str) -> Result<TimerKind, Failure> {
    if let Some(kind) = LifecycleTimer::ALL.into_iter().find(|k| k.as_str() == kind) {
        return Ok(TimerKind::Lifecycle(kind));
    }
    Ok(TimerKind::Custom(parse::<TimerName>(name, "timer name")?))
}

/// A timer's place among timers due at one instant; see the domain's `LifecycleTimer`.
pub(crate) fn rank(kind: &TimerKind) -> i16 {
    match kind {
        TimerKind::Lifecycle(kind) => {
            LifecycleTimer::ALL.iter().zip(0..).find(|(k, _)| *k == kind).map_or(0, |(_, i)| i)
        }
        TimerKind::Custom(_) => i16::MAX,
    }
}
