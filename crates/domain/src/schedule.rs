//! The timer plan: which timers each status must have (DESIGN §3).

use chrono::TimeDelta;

use crate::Timestamp;
use crate::campaign::{Campaign, Phase};
use crate::timer::LifecycleTimer;

/// One timer that a campaign must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Planned {
    /// When it fires.
    pub due: Timestamp,
    /// Which it is.
    pub kind: LifecycleTimer,
}

/// The lifecycle timers that `campaign` must have pending, by due time. CUSTOM reminders come on top.
pub fn plan(campaign: &Campaign) -> Vec<Planned> {
    use LifecycleTimer::{Close, Expire, OpenRewardClaim, RewardReminder, Start};
    let policy = &campaign.policy;
    let window = &campaign.definition.window;
    let mut timers: Vec<Planned> = Vec::with_capacity(2);
    let mut arm = |kind, from: Timestamp, after: TimeDelta| {
        // Windows lie before the year 10000 and waits are at most 366 days: this cannot overflow.
        timers.push(Planned { due: (from + after).max(campaign.planned_at), kind });
    };
    match campaign.phase {
        Phase::Created => {
            arm(Start, window.start(), TimeDelta::zero());
            arm(Expire, window.end(), policy.created_expiry);
        }
        Phase::Running { .. } => {
            if campaign.definition.auto_close {
                arm(Close, window.end(), TimeDelta::zero());
            }
            arm(Expire, window.end(), policy.running_expiry);
        }
        Phase::Closed { closed_at } => {
            if campaign.definition.rewards_enabled {
                arm(OpenRewardClaim, closed_at, policy.reward_claim_delay);
            }
            arm(Expire, closed_at, policy.closed_expiry);
        }
        Phase::RewardClaim { opened_at } => {
            // A claim shorter than the lead has no moment "lead before expiry": nobody is reminded.
            if policy.reminder_lead < policy.reward_claim {
                arm(RewardReminder, opened_at, policy.reward_claim - policy.reminder_lead);
            }
            arm(Expire, opened_at, policy.reward_claim);
        }
        Phase::Expired | Phase::Cancelled => {}
    }
    timers.retain(|t| !campaign.settled.contains(&t.kind));
    timers.sort_unstable();
    timers
}
