//! The aggregate: the fold of a campaign's log.

use std::collections::BTreeSet;

use crate::Timestamp;
use crate::definition::Definition;
use crate::id::{CampaignKey, TimerId};
use crate::lifecycle::Status;
use crate::policy::Policy;
use crate::timer::{LifecycleTimer, Timer};

/// A status with what is known only in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not started.
    Created,
    /// Started.
    Running {
        /// When it really started.
        started_at: Timestamp,
    },
    /// Closed.
    Closed {
        /// When it really closed.
        closed_at: Timestamp,
    },
    /// Claim open.
    RewardClaim {
        /// When the claim really opened.
        opened_at: Timestamp,
    },
    /// Over.
    Expired,
    /// Called off.
    Cancelled,
}

impl Phase {
    /// The status without its data.
    pub fn status(&self) -> Status {
        match self {
            Self::Created => Status::Created,
            Self::Running { .. } => Status::Running,
            Self::Closed { .. } => Status::Closed,
            Self::RewardClaim { .. } => Status::RewardClaim,
            Self::Expired => Status::Expired,
            Self::Cancelled => Status::Cancelled,
        }
    }
}

/// One campaign as it stands after `version` steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    /// Whose, and which.
    pub key: CampaignKey,
    /// How many steps its log has; the sequence of the last one.
    pub version: u64,
    /// Where it stands.
    pub phase: Phase,
    /// What it is now, after updates.
    pub definition: Definition,
    /// What it was when created, once an update has changed that: a repeated create is compared with this.
    pub original: Option<Box<Definition>>,
    /// Its waiting times, fixed at creation.
    pub policy: Policy,
    /// The highest engagement total recorded.
    pub engagements: u64,
    /// Whether the target was reached.
    pub target_reached: bool,
    /// The version at which its timers were last planned.
    pub generation: u64,
    /// When that was. No timer of the plan is due before it was planned, so nothing is late that could not be in time.
    pub planned_at: Timestamp,
    /// Timers of the plan that fired or were skipped in this generation.
    pub settled: BTreeSet<LifecycleTimer>,
    /// Its pending timers. The store's timer table is an index of these.
    pub timers: Vec<Timer>,
    /// Pending timers that wait for an operator (misfire rule hold).
    pub held: BTreeSet<TimerId>,
    /// When it became known.
    pub created_at: Timestamp,
    /// When its last step happened.
    pub updated_at: Timestamp,
}

impl Campaign {
    /// Where it stands.
    pub fn status(&self) -> Status {
        self.phase.status()
    }

    /// Its pending timer with this id.
    pub fn timer(&self, id: TimerId) -> Option<&Timer> {
        self.timers.iter().find(|t| t.id == id)
    }

    /// The pending timer that fires next, held ones aside.
    pub fn next_timer(&self) -> Option<&Timer> {
        self.timers.iter().filter(|t| !self.held.contains(&t.id)).min_by_key(|t| (t.due, &t.kind))
    }

    /// What it was when it was created.
    pub fn as_created(&self) -> &Definition {
        self.original.as_deref().unwrap_or(&self.definition)
    }
}
