//! The waiting times of the life cycle, with their defaults and overrides.
//!
//! A campaign's policy is fixed when it is created (service defaults, then its tenant's overrides, then its own), so that
//! its whole life can be recomputed from its log whatever the configuration says later (ADR 0003).

use chrono::TimeDelta;

use crate::misfire::MisfireRules;

/// The effective policy of one campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// CREATED: EXPIRE this long after the end of the window.
    pub created_expiry: TimeDelta,
    /// RUNNING: EXPIRE this long after the end of the window.
    pub running_expiry: TimeDelta,
    /// CLOSED: OPEN_REWARD_CLAIM this long after the close.
    pub reward_claim_delay: TimeDelta,
    /// CLOSED: EXPIRE this long after the close.
    pub closed_expiry: TimeDelta,
    /// REWARD_CLAIM: EXPIRE this long after the opening.
    pub reward_claim: TimeDelta,
    /// REWARD_CLAIM: REWARD_REMINDER this long before the expiry.
    pub reminder_lead: TimeDelta,
    /// A timer later than this is misfired: its rule in `misfire` says what happens.
    pub reminder_max_late: TimeDelta,
    /// What happens to misfired timers, per kind.
    pub misfire: MisfireRules,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            created_expiry: TimeDelta::seconds(3_600),
            running_expiry: TimeDelta::seconds(7_200),
            reward_claim_delay: TimeDelta::seconds(300),
            closed_expiry: TimeDelta::seconds(172_800),
            reward_claim: TimeDelta::seconds(604_800),
            reminder_lead: TimeDelta::seconds(86_400),
            reminder_max_late: TimeDelta::seconds(3_600),
            misfire: MisfireRules::default(),
        }
    }
}

/// Overrides of a [`Policy`], in whole seconds; `None` keeps what is below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PolicyOverrides {
    /// Overrides [`Policy::created_expiry`].
    pub created_expiry_seconds: Option<u32>,
    /// Overrides [`Policy::running_expiry`].
    pub running_expiry_seconds: Option<u32>,
    /// Overrides [`Policy::reward_claim_delay`].
    pub reward_claim_delay_seconds: Option<u32>,
    /// Overrides [`Policy::closed_expiry`].
    pub closed_expiry_seconds: Option<u32>,
    /// Overrides [`Policy::reward_claim`].
    pub reward_claim_seconds: Option<u32>,
    /// Overrides [`Policy::reminder_lead`].
    pub reminder_lead_seconds: Option<u32>,
    /// Overrides [`Policy::reminder_max_late`].
    pub reminder_max_late_seconds: Option<u32>,
    /// Overrides [`Policy::misfire`], kind by kind.
    pub misfire: MisfireRules,
}

/// Why overrides are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("policy.{field} must be at most {max} seconds (366 days), not {actual}")]
pub struct PolicyError {
    /// The field's name in the contract.
    pub field: &'static str,
    /// The largest value allowed.
    pub max: u32,
    /// What came.
    pub actual: u32,
}

impl PolicyOverrides {
    /// The longest wait: 366 days, in seconds.
    pub const MAX_SECONDS: u32 = 366 * 86_400;

    /// Checks every value against [`PolicyOverrides::MAX_SECONDS`].
    ///
    /// # Errors
    /// [`PolicyError`] names the first field that is too large.
    pub fn check(&self) -> Result<(), PolicyError> {
        let fields = [
            ("createdExpirySeconds", self.created_expiry_seconds),
            ("runningExpirySeconds", self.running_expiry_seconds),
            ("rewardClaimDelaySeconds", self.reward_claim_delay_seconds),
            ("closedExpirySeconds", self.closed_expiry_seconds),
            ("rewardClaimSeconds", self.reward_claim_seconds),
            ("reminderLeadSeconds", self.reminder_lead_seconds),
            ("reminderMaxLateSeconds", self.reminder_max_late_seconds),
        ];
        for (field, value) in fields {
            if let Some(actual) = value.filter(|v| *v > Self::MAX_SECONDS) {
                return Err(PolicyError { field, max: Self::MAX_SECONDS, actual });
            }
        }
        Ok(())
    }
}

impl Policy {
    /// This policy with `overrides` on top.
    pub fn with(&self, overrides: &PolicyOverrides) -> Self {
        let pick = |over: Option<u32>, base: TimeDelta| over.map_or(base, |s| TimeDelta::seconds(i64::from(s)));
        Self {
            created_expiry: pick(overrides.created_expiry_seconds, self.created_expiry),
            running_expiry: pick(overrides.running_expiry_seconds, self.running_expiry),
            reward_claim_delay: pick(overrides.reward_claim_delay_seconds, self.reward_claim_delay),
            closed_expiry: pick(overrides.closed_expiry_seconds, self.closed_expiry),
            reward_claim: pick(overrides.reward_claim_seconds, self.reward_claim),
            reminder_lead: pick(overrides.reminder_lead_seconds, self.reminder_lead),
            reminder_max_late: pick(overrides.reminder_max_late_seconds, self.reminder_max_late),
            misfire: overrides.misfire.or(self.misfire),
        }
    }
}
