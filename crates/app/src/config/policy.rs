//! The section `policy` and the tenants' overrides of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happens to a timer that is later than the policy allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Misfire {
    Fire,
    Skip,
    Hold,
}

impl From<Misfire> for domain::Misfire {
    fn from(misfire: Misfire) -> Self {
        match misfire {
            Misfire::Fire => Self::Fire,
            Misfire::Skip => Self::Skip,
            Misfire::Hold => Self::Hold,
        }
    }
}

/// What happens to timers that are later than `reminder_max_late_seconds`: `fire`, `skip`, or `hold` until an operator
/// executes or deletes it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MisfireRules {
    /// Starts of campaigns. Not set: `fire`.
    pub(crate) start_campaign: Option<Misfire>,
    /// Closes of campaigns. Not set: `fire`.
    pub(crate) close_campaign: Option<Misfire>,
    /// Openings of the reward claim. Not set: `fire`.
    pub(crate) open_reward_claim: Option<Misfire>,
    /// Reminders of the reward claim. Not set: `skip`.
    pub(crate) reward_reminder: Option<Misfire>,
    /// Expiries. Not set: `fire`.
    pub(crate) expire_campaign: Option<Misfire>,
    /// Reminders that operators scheduled. Not set: `skip`.
    pub(crate) custom: Option<Misfire>,
}

/// See `Config::policy`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Policy {
    /// A campaign that never started expires this many seconds after the end of its window.
    #[schemars(range(max = 31_622_400))]
    pub(crate) created_expiry_seconds: u32,
    /// A running campaign that nobody closed expires this many seconds after the end of its window.
    #[schemars(range(max = 31_622_400))]
    pub(crate) running_expiry_seconds: u32,
    /// The reward claim opens this many seconds after the close.
    #[schemars(range(max = 31_622_400))]
    pub(crate) reward_claim_delay_seconds: u32,
    /// A closed campaign expires this many seconds after the close.
    #[schemars(range(max = 31_622_400))]
    pub(crate) closed_expiry_seconds: u32,
    /// The reward claim stays open for this many seconds.
    #[schemars(range(max = 31_622_400))]
    pub(crate) reward_claim_seconds: u32,
    /// People are reminded this many seconds before the reward claim ends.
    #[schemars(range(max = 31_622_400))]
    pub(crate) reminder_lead_seconds: u32,
    /// From this many seconds of lateness on, the rules of `misfire` say what happens to a timer.
    #[schemars(range(max = 31_622_400))]
    pub(crate) reminder_max_late_seconds: u32,
    /// What happens to timers that are too late.
    pub(crate) misfire: MisfireRules,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            created_expiry_seconds: 3_600,
            running_expiry_seconds: 7_200,
            reward_claim_delay_seconds: 300,
            closed_expiry_seconds: 172_800,
            reward_claim_seconds: 604_800,
            reminder_lead_seconds: 86_400,
            reminder_max_late_seconds: 3_600,
            misfire: MisfireRules::default(),
        }
    }
}

/// What one tenant has different.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Tenant {
    /// What is not set here is as in the section `policy`.
    pub(crate) policy: PolicyOverrides,
}

/// See [`Tenant::policy`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PolicyOverrides {
    /// As in `policy`.
    #[schemars(range(max = 31_622_400))]
    pub(crate) created_expiry_seconds: Option<u32>,
    /// As in `policy`.
    #[schemars(range(max = 31_622_400))]
    pub(crate) running_expiry_seconds: Option<u32>,
    /// As in `policy`.
    #[schemars(range(max = 31_622_400))]
    pub(crate) reward_claim_delay_seconds: Option<u32>,
    /// As in `policy`.
    #[schemars(range(max = 31_622_400))]
    pub(crate) closed_expiry_seconds: Option<u32>,
    /// As in `policy`.
    #[schemars(range(max = 31_622_400))]
    pub(crate) reward_claim_seconds: Option<u32>,
    /// As in `policy`.
    #[schemars(range(max = 31_622_400))]
    pub(crate) reminder_lead_seconds: Option<u32>,
    /// As in `policy`.
    #[schemars(range(max = 31_622_400))]
    pub(crate) reminder_max_late_seconds: Option<u32>,
    /// As in `policy`.
    pub(crate) misfire: MisfireRules,
}

impl MisfireRules {
    fn to_domain(&self) -> domain::MisfireRules {
        domain::MisfireRules {
            start: self.start_campaign.map(Into::into),
            close: self.close_campaign.map(Into::into),
            open_reward_claim: self.open_reward_claim.map(Into::into),
            reward_reminder: self.reward_reminder.map(Into::into),
            expire: self.expire_campaign.map(Into::into),
            custom: self.custom.map(Into::into),
        }
    }
}

impl Policy {
    /// As the domain has it.
    pub(crate) fn to_domain(&self) -> domain::Policy {
        let all = domain::PolicyOverrides {
            created_expiry_seconds: Some(self.created_expiry_seconds),
            running_expiry_seconds: Some(self.running_expiry_seconds),
            reward_claim_delay_seconds: Some(self.reward_claim_delay_seconds),
            closed_expiry_seconds: Some(self.closed_expiry_seconds),
            reward_claim_seconds: Some(self.reward_claim_seconds),
            reminder_lead_seconds: Some(self.reminder_lead_seconds),
            reminder_max_late_seconds: Some(self.reminder_max_late_seconds),
            misfire: self.misfire.to_domain(),
        };
        domain::Policy::default().with(&all)
    }
}

impl PolicyOverrides {
    /// As the domain has it.
    pub(crate) fn to_domain(&self) -> domain::PolicyOverrides {
        domain::PolicyOverrides {
            created_expiry_seconds: self.created_expiry_seconds,
            running_expiry_seconds: self.running_expiry_seconds,
            reward_claim_delay_seconds: self.reward_claim_delay_seconds,
            closed_expiry_seconds: self.closed_expiry_seconds,
            reward_claim_seconds: self.reward_claim_seconds,
            reminder_lead_seconds: self.reminder_lead_seconds,
            reminder_max_late_seconds: self.reminder_max_late_seconds,
            misfire: self.misfire.to_domain(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_section_is_the_domains_default_policy() {
        assert_eq!(Policy::default().to_domain(), domain::Policy::default());
        assert_eq!(domain::PolicyOverrides::MAX_SECONDS, 31_622_400, "the ranges above");
    }
}
