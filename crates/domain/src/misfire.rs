//! What to do with a timer that comes due too late to be taken for granted.

use crate::timer::LifecycleTimer;

/// What happens to a timer that is late by more than the policy allows (DESIGN §3, "per kind").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfire {
    /// Fire it all the same.
    Fire,
    /// Do not fire it; record that it was skipped.
    Skip,
    /// Keep it until an operator executes it (a reminder: or deletes it), or until the campaign moves on without it.
    Hold,
}

/// The misfire rule of every kind of timer; `None` means the default of that kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MisfireRules {
    /// START_CAMPAIGN; default fire.
    pub start: Option<Misfire>,
    /// CLOSE_CAMPAIGN; default fire.
    pub close: Option<Misfire>,
    /// OPEN_REWARD_CLAIM; default fire.
    pub open_reward_claim: Option<Misfire>,
    /// REWARD_REMINDER; default skip.
    pub reward_reminder: Option<Misfire>,
    /// EXPIRE_CAMPAIGN; default fire.
    pub expire: Option<Misfire>,
    /// CUSTOM reminders; default skip.
    pub custom: Option<Misfire>,
}

impl MisfireRules {
    /// The rule for a timer of the plan.
    pub fn of(&self, kind: LifecycleTimer) -> Misfire {
        match kind {
            LifecycleTimer::Start => self.start.unwrap_or(Misfire::Fire),
            LifecycleTimer::Close => self.close.unwrap_or(Misfire::Fire),
            LifecycleTimer::OpenRewardClaim => self.open_reward_claim.unwrap_or(Misfire::Fire),
            LifecycleTimer::Expire => self.expire.unwrap_or(Misfire::Fire),
            LifecycleTimer::RewardReminder => self.reward_reminder.unwrap_or(Misfire::Skip),
        }
    }

    /// The rule for a CUSTOM reminder.
    pub fn of_custom(&self) -> Misfire {
        self.custom.unwrap_or(Misfire::Skip)
    }

    /// These rules where they say something, `base` where they are silent.
    pub fn or(self, base: Self) -> Self {
        Self {
            start: self.start.or(base.start),
            close: self.close.or(base.close),
            open_reward_claim: self.open_reward_claim.or(base.open_reward_claim),
            reward_reminder: self.reward_reminder.or(base.reward_reminder),
            expire: self.expire.or(base.expire),
            custom: self.custom.or(base.custom),
        }
    }
}
