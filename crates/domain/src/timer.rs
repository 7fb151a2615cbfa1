//! Timers: what may be armed for a campaign, and how one came to fire.

use crate::Timestamp;
use crate::definition::JsonText;
use crate::id::{TimerId, TimerName};

/// The timers that the plan arms by itself. The order is the order of firing among timers due at one instant:
/// a step of the life goes before the expiry that would end it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LifecycleTimer {
    /// Starts the campaign.
    Start,
    /// Closes it (auto-close).
    Close,
    /// Opens the reward claim.
    OpenRewardClaim,
    /// Reminds people to claim.
    RewardReminder,
    /// Ends it.
    Expire,
}

impl LifecycleTimer {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Start, Self::Close, Self::OpenRewardClaim, Self::RewardReminder, Self::Expire];

    /// Its name in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "START_CAMPAIGN",
            Self::Close => "CLOSE_CAMPAIGN",
            Self::OpenRewardClaim => "OPEN_REWARD_CLAIM",
            Self::RewardReminder => "REWARD_REMINDER",
            Self::Expire => "EXPIRE_CAMPAIGN",
        }
    }
}

/// What a timer is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimerKind {
    /// Armed by the plan.
    Lifecycle(LifecycleTimer),
    /// A reminder that somebody scheduled.
    Custom(TimerName),
}

impl TimerKind {
    /// Its name in the contract.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Lifecycle(kind) => kind.as_str(),
            Self::Custom(_) => "CUSTOM",
        }
    }

    /// The reminder's name, for CUSTOM.
    pub fn name(&self) -> Option<&TimerName> {
        match self {
            Self::Lifecycle(_) => None,
            Self::Custom(name) => Some(name),
        }
    }

    /// The kind in the plan, unless CUSTOM.
    pub fn lifecycle(&self) -> Option<LifecycleTimer> {
        match self {
            Self::Lifecycle(kind) => Some(*kind),
            Self::Custom(_) => None,
        }
    }
}

/// One armed timer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    /// Its id.
    pub id: TimerId,
    /// What it is for.
    pub kind: TimerKind,
    /// When it must fire; never earlier (INV-8).
    pub due: Timestamp,
    /// The version of the campaign that it was planned for.
    pub generation: u64,
    /// What a CUSTOM reminder carries, a JSON object.
    pub payload: Option<JsonText>,
}

/// Who makes a timer fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firing {
    /// The clock: it is due.
    Clock,
    /// An operator, due or not.
    Operator,
}
