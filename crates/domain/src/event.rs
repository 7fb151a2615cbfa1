//! What happened to a campaign. The log is made of these; nothing else is remembered.

use crate::Timestamp;
use crate::definition::{Definition, JsonText};
use crate::id::{Reason, TimerName};
use crate::lifecycle::{Status, Trigger};
use crate::policy::Policy;
use crate::timer::{Firing, Timer};
use crate::window::Window;

/// Why a due timer did not fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// Later than the policy allows, and its misfire rule says skip.
    TooLate,
    /// START_CAMPAIGN after the window was over.
    WindowOver,
}

impl SkipReason {
    /// Its name in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLate => "too_late",
            Self::WindowOver => "window_over",
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The campaign became known.
    Initialized {
        /// What it is.
        definition: Definition,
        /// Its effective policy, from now on fixed.
        policy: Policy,
    },
    /// It moved along a row of the table.
    StatusChanged {
        /// From here.
        from: Status,
        /// To there.
        to: Status,
        /// By this.
        trigger: Trigger,
        /// Why, when somebody said so.
        reason: Option<Reason>,
        /// The timer that fired, when one did.
        timer: Option<Timer>,
    },
    /// Its definition changed; `None` stayed as it was.
    Updated {
        /// The new window.
        window: Option<Window>,
        /// The new auto-close.
        auto_close: Option<bool>,
        /// The new rewards setting.
        rewards_enabled: Option<bool>,
        /// The new metadata.
        metadata: Option<JsonText>,
        /// Why, when somebody said so.
        reason: Option<Reason>,
    },
    /// More engagements were counted.
    EngagementsRecorded {
        /// How many in all.
        total: u64,
    },
    /// The target was reached, for the first and only time.
    TargetReached {
        /// How many in all.
        total: u64,
        /// How many were wanted.
        target: u64,
    },
    /// Somebody scheduled a CUSTOM reminder.
    ReminderScheduled {
        /// Its name.
        name: TimerName,
        /// When it fires.
        at: Timestamp,
        /// What it carries.
        payload: Option<JsonText>,
    },
    /// Somebody cancelled a reminder.
    ReminderCancelled {
        /// Which.
        timer: Timer,
    },
    /// A reminder fired.
    ReminderFired {
        /// Which.
        timer: Timer,
        /// Who made it fire.
        by: Firing,
    },
    /// A due timer was skipped.
    TimerSkipped {
        /// Which.
        timer: Timer,
        /// Why.
        reason: SkipReason,
    },
    /// A misfired timer waits for an operator.
    TimerHeld {
        /// Which.
        timer: Timer,
    },
}

impl Event {
    /// Whether all timers of the plan are armed anew after this.
    pub fn replans(&self) -> bool {
        match self {
            Self::Initialized { .. } | Self::StatusChanged { .. } => true,
            Self::Updated { window, auto_close, rewards_enabled, .. } => {
                window.is_some() || auto_close.is_some() || rewards_enabled.is_some()
            }
            Self::EngagementsRecorded { .. }
            | Self::TargetReached { .. }
            | Self::ReminderScheduled { .. }
            | Self::ReminderCancelled { .. }
            | Self::ReminderFired { .. }
            | Self::TimerSkipped { .. }
            | Self::TimerHeld { .. } => false,
        }
    }

    /// The timer whose life ends with this event because it fired or was skipped.
    pub fn settled_timer(&self) -> Option<&Timer> {
        match self {
            Self::StatusChanged { timer, .. } => timer.as_ref(),
            Self::ReminderFired { timer, .. } | Self::TimerSkipped { timer, .. } => Some(timer),
            Self::Initialized { .. }
            | Self::Updated { .. }
            | Self::EngagementsRecorded { .. }
            | Self::TargetReached { .. }
            | Self::ReminderScheduled { .. }
            | Self::ReminderCancelled { .. }
            | Self::TimerHeld { .. } => None,
        }
    }
}

/// One entry of a campaign's log: an event, its place, and the timers armed with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its place in the campaign's log, from 1; the campaign's version after it.
    pub sequence: u64,
    /// When it happened, by the store's clock.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
    /// The timers armed in the same commit.
    pub armed: Vec<Timer>,
}
