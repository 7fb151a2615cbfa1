//! Names out of fixed sets, as the interface documents them.

use domain::Status;
use ports::dead_letters::{LetterKind, LetterState};
use ports::query::TimerState;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A campaign's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StatusName {
    /// Known, not started.
    Created,
    /// Between start and close.
    Running,
    /// Closed; rewards not yet open.
    Closed,
    /// People may claim.
    RewardClaim,
    /// Over. Terminal.
    Expired,
    /// Called off. Terminal.
    Cancelled,
}

impl From<Status> for StatusName {
    fn from(status: Status) -> Self {
        match status {
            Status::Created => Self::Created,
            Status::Running => Self::Running,
            Status::Closed => Self::Closed,
            Status::RewardClaim => Self::RewardClaim,
            Status::Expired => Self::Expired,
            Status::Cancelled => Self::Cancelled,
        }
    }
}

/// A timer's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TimerStateName {
    /// Armed.
    Pending,
    /// Fired or skipped.
    Completed,
    /// Cancelled.
    Cancelled,
    /// Given up, in the dead-letter queue.
    Failed,
}

impl From<TimerState> for TimerStateName {
    fn from(state: TimerState) -> Self {
        match state {
            TimerState::Pending => Self::Pending,
            TimerState::Completed => Self::Completed,
            TimerState::Cancelled => Self::Cancelled,
            TimerState::Failed => Self::Failed,
        }
    }
}

/// Where a dead letter comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LetterKindName {
    /// An inbound event.
    Event,
    /// A timer that was given up.
    Timer,
}

impl From<LetterKind> for LetterKindName {
    fn from(kind: LetterKind) -> Self {
        match kind {
            LetterKind::Event => Self::Event,
            LetterKind::Timer => Self::Timer,
        }
    }
}

impl From<LetterKindName> for LetterKind {
    fn from(name: LetterKindName) -> Self {
        match name {
            LetterKindName::Event => Self::Event,
            LetterKindName::Timer => Self::Timer,
        }
    }
}

/// Where a dead letter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LetterStateName {
    /// Waiting for a person.
    Open,
    /// Processed again, on request.
    Replayed,
    /// Given up.
    Discarded,
}

impl From<LetterState> for LetterStateName {
    fn from(state: LetterState) -> Self {
        match state {
            LetterState::Open => Self::Open,
            LetterState::Replayed => Self::Replayed,
            LetterState::Discarded => Self::Discarded,
        }
    }
}

impl From<LetterStateName> for LetterState {
    fn from(name: LetterStateName) -> Self {
        match name {
            LetterStateName::Open => Self::Open,
            LetterStateName::Replayed => Self::Replayed,
            LetterStateName::Discarded => Self::Discarded,
        }
    }
}
