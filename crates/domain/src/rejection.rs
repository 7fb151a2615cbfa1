//! Why a command has no effect.

use crate::Timestamp;
use crate::definition::DefinitionError;
use crate::lifecycle::{Status, Trigger};
use crate::window::WindowError;

/// Why a command was refused. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is no such campaign in this tenant.
    #[error("there is no campaign with this id")]
    UnknownCampaign,
    /// There is a different one with this id.
    #[error("a different campaign with this id exists already")]
    AlreadyExists,
    /// The sender decided on another version than the present one.
    #[error("the campaign is at version {actual}, not {expected}")]
    VersionMismatch {
        /// What the sender saw.
        expected: u64,
        /// What is.
        actual: u64,
    },
    /// The table has no such row.
    #[error("a {from} campaign cannot become {to} by {trigger}")]
    TransitionNotAllowed {
        /// Where it stands.
        from: Status,
        /// Where it was to go.
        to: Status,
        /// By what.
        trigger: Trigger,
    },
    /// The definition breaks a rule.
    #[error(transparent)]
    InvalidDefinition(#[from] DefinitionError),
    /// The new window breaks a rule.
    #[error(transparent)]
    InvalidWindow(#[from] WindowError),
    /// The field is fixed in this status.
    #[error("{field} cannot change while the campaign is {status}")]
    FieldIsFixed {
        /// Its name in the contract.
        field: &'static str,
        /// Where the campaign stands.
        status: Status,
    },
    /// The campaign is over, or not yet running.
    #[error("not possible while the campaign is {status}")]
    WrongStatus {
        /// Where it stands.
        status: Status,
    },
    /// The window is over: it cannot be started any more.
    #[error("the window is over since {end}")]
    WindowIsOver {
        /// When it ended.
        end: Timestamp,
    },
    /// No such pending timer.
    #[error("the campaign has no pending timer with this id")]
    UnknownTimer,
    /// The timer is not due and may not fire early.
    #[error("the timer is not due before {due}")]
    TimerNotDue {
        /// When it is.
        due: Timestamp,
    },
    /// The timer is part of the plan and cannot be deleted.
    #[error("a {kind} timer belongs to the plan and cannot be deleted; change the campaign instead")]
    TimerIsPlanned {
        /// Its kind in the contract.
        kind: &'static str,
    },
    /// Another pending reminder has this name.
    #[error("another pending timer has this name")]
    TimerNameTaken,
    /// The reminder would fire in the past, or more than 366 days from now.
    #[error("a timer must fire in the future, at most 366 days from now")]
    TimerOutOfRange,
    /// The campaign has as many reminders as it may.
    #[error("a campaign may have at most {limit} pending timers of its own")]
    TooManyTimers {
        /// How many it may have.
        limit: usize,
    },
}

impl Rejection {
    /// Its stable code in the contract.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownCampaign => "unknown_campaign",
            Self::AlreadyExists => "conflict",
            Self::VersionMismatch { .. } => "version_mismatch",
            Self::TransitionNotAllowed { .. } => "transition_not_allowed",
            Self::InvalidDefinition(_) => "invalid_campaign",
            Self::InvalidWindow(_) => "invalid_window",
            Self::FieldIsFixed { .. } => "field_is_fixed",
            Self::WrongStatus { .. } => "wrong_status",
            Self::WindowIsOver { .. } => "window_is_over",
            Self::UnknownTimer => "unknown_timer",
            Self::TimerNotDue { .. } => "timer_not_due",
            Self::TimerIsPlanned { .. } => "timer_is_planned",
            Self::TimerNameTaken => "timer_name_taken",
            Self::TimerOutOfRange => "timer_out_of_range",
            Self::TooManyTimers { .. } => "too_many_timers",
        }
    }
}
