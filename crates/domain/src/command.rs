//! What may be asked of a campaign.

use crate::Timestamp;
use crate::definition::{Definition, JsonText};
use crate::id::{Reason, TimerId, TimerName};
use crate::lifecycle::Status;
use crate::timer::Firing;
use crate::window::WindowEnd;

/// Who asks for a cancel; the table knows both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requester {
    /// The producer, by an event.
    Producer,
    /// A person, or a service on a person's behalf.
    Operator,
}

/// A wish to move the window; what is not named stays. A duration counts from the new start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WindowChange {
    /// A new start.
    pub start: Option<Timestamp>,
    /// A new end, said in any number of ways that must agree.
    pub ends: Vec<WindowEnd>,
}

/// What an update changes; `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// The window: both ends while CREATED, the end while RUNNING.
    pub window: WindowChange,
    /// While CREATED or RUNNING.
    pub auto_close: Option<bool>,
    /// Until the claim opens.
    pub rewards_enabled: Option<bool>,
    /// Replaces the metadata as a whole, until the campaign is over.
    pub metadata: Option<JsonText>,
}

/// What may be asked of a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Make a campaign known.
    Create {
        /// What it is.
        definition: Definition,
    },
    /// Change it.
    Update {
        /// What to change.
        changes: Changes,
        /// Why.
        reason: Option<Reason>,
    },
    /// Call it off.
    Cancel {
        /// Who asks.
        by: Requester,
        /// Why.
        reason: Option<Reason>,
    },
    /// Move it to another status by hand.
    ChangeStatus {
        /// Where to.
        to: Status,
        /// Why.
        reason: Option<Reason>,
    },
    /// Remember a CUSTOM reminder.
    ScheduleReminder {
        /// Its name, unique among the pending ones.
        name: TimerName,
        /// When it fires.
        at: Timestamp,
        /// What it carries.
        payload: Option<JsonText>,
    },
    /// Forget a reminder.
    CancelTimer {
        /// Which.
        id: TimerId,
    },
    /// Fire a timer.
    FireTimer {
        /// Which.
        id: TimerId,
        /// Who makes it fire.
        by: Firing,
    },
    /// Tell how many engagements there are in all.
    RecordEngagements {
        /// The total so far; lower than known changes nothing.
        total: u64,
    },
}

impl Command {
    /// Its name in records and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Update { .. } => "update",
            Self::Cancel { .. } => "cancel",
            Self::ChangeStatus { .. } => "change_status",
            Self::ScheduleReminder { .. } => "schedule_timer",
            Self::CancelTimer { .. } => "cancel_timer",
            Self::FireTimer { by: Firing::Clock, .. } => "fire_timer",
            Self::FireTimer { by: Firing::Operator, .. } => "execute_timer",
            Self::RecordEngagements { .. } => "record_engagements",
        }
    }
}
