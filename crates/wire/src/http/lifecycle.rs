//! A campaign's past and future: its transitions, its timeline, and everything about it in one answer.

use chrono::{DateTime, Utc};
use domain::{Campaign, Event, Status, TimerKind, Trigger};
use ports::journal::{Entry, Record};
use ports::query::Dossier;
use schemars::JsonSchema;
use serde::Serialize;
use utoipa::ToSchema;

use super::{ActorBody, CampaignBody, StatusName, TimerBody};
use crate::time;

/// A change of status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TransitionBody {
    /// The campaign's version after it.
    pub sequence: u64,
    /// From here; null at the beginning.
    pub from_status: Option<StatusName>,
    /// To there.
    pub to_status: StatusName,
    /// By what: `producer`, `operator`, `target`, or the kind of the timer.
    pub trigger: String,
    /// By whom.
    pub actor: ActorBody,
    /// Why, when somebody said so.
    pub reason: Option<String>,
    /// When.
    pub occurred_at: DateTime<Utc>,
    /// When it should have happened, if a timer did it.
    pub scheduled_for: Option<DateTime<Utc>>,
    /// How much later than that it happened, in milliseconds.
    pub late_by_ms: Option<u64>,
    /// Its place in the journal.
    pub position: u64,
}

impl TransitionBody {
    /// The change of status that `record` is, if it is one.
    pub fn of(record: &Record) -> Option<Self> {
        let Entry::Step(step) = &record.fact.entry else { return None };
        let (from, to, trigger, reason, timer) = match &step.step.event {
            Event::Initialized { .. } => (None, Status::Created, Trigger::Producer, None, None),
            Event::StatusChanged { from, to, trigger, reason, timer } => {
                (Some(*from), *to, *trigger, reason.as_ref(), timer.as_ref())
            }
            Event::Updated { .. }
            | Event::EngagementsRecorded { .. }
            | Event::TargetReached { .. }
            | Event::ReminderScheduled { .. }
            | Event::ReminderCancelled { .. }
            | Event::ReminderFired { .. }
            | Event::TimerSkipped { .. }
            | Event::TimerHeld { .. } => return None,
        };
        let at = step.step.at;
        Some(Self {
            sequence: step.step.sequence,
            from_status: from.map(StatusName::from),
            to_status: to.into(),
            trigger: trigger.as_str().to_owned(),
            actor: ActorBody::from(&record.fact.actor),
            reason: reason.map(|reason| reason.as_str().to_owned()),
            occurred_at: at,
            scheduled_for: timer.map(|timer| timer.due),
            late_by_ms: timer.map(|timer| time::late_by_ms(timer.due, at)),
            position: record.position.0,
        })
    }
}

/// One thing that is going to happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimelineEntryBody {
    /// When.
    pub at: DateTime<Utc>,
    /// Which timer does it.
    pub timer_type: String,
    /// The timer's name, for CUSTOM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The status that follows; null for a reminder.
    pub to_status: Option<StatusName>,
}

impl TimelineEntryBody {
    /// `timer` fires at `at`, and `status` follows unless it is a reminder.
    pub fn new(at: DateTime<Utc>, timer: &TimerKind, status: Option<Status>) -> Self {
        Self {
            at,
            timer_type: timer.as_str().to_owned(),
            name: timer.name().map(|name| name.as_str().to_owned()),
            to_status: status.map(StatusName::from),
        }
    }
}

/// What would happen to a campaign if it were created now; nothing is stored.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimelineBody {
    /// The campaign as it would be.
    pub campaign: CampaignBody,
    /// What would follow by itself, in order.
    pub next_events: Vec<TimelineEntryBody>,
}

impl TimelineBody {
    /// The timeline of `campaign`.
    pub fn new(campaign: &Campaign, next_events: Vec<TimelineEntryBody>) -> Self {
        Self { campaign: campaign.into(), next_events }
    }
}

/// All about one campaign at one moment.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LifecycleBody {
    /// The campaign.
    pub campaign: CampaignBody,
    /// Its timers in every state, earliest due first.
    pub timers: Vec<TimerBody>,
    /// Its transitions, oldest first.
    pub history: Vec<TransitionBody>,
    /// What follows by itself, in order.
    pub next_events: Vec<TimelineEntryBody>,
    /// The journal's head at that moment.
    pub position: u64,
}

impl LifecycleBody {
    /// Puts everything together.
    pub fn new(dossier: &Dossier, history: Vec<TransitionBody>, next_events: Vec<TimelineEntryBody>) -> Self {
        Self {
            campaign: CampaignBody::from(&dossier.campaign),
            timers: dossier.timers.iter().map(TimerBody::from).collect(),
            history,
            next_events,
            position: dossier.head.0,
        }
    }
}
