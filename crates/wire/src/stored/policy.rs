//! The stored form of a policy and of its overrides.

use chrono::TimeDelta;
use domain::{Misfire, MisfireRules, Policy, PolicyOverrides};
use serde::{Deserialize, Serialize};

use super::forms::wait;

/// An effective policy; waits in microseconds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PolicyForm {
    ce: i64,
    re: i64,
    cd: i64,
    cx: i64,
    rc: i64,
    rl: i64,
    ml: i64,
    #[serde(default, skip_serializing_if = "MisfireForm::is_empty")]
    mf: MisfireForm,
}

impl From<&Policy> for PolicyForm {
    fn from(policy: &Policy) -> Self {
        Self {
            ce: wait(policy.created_expiry),
            re: wait(policy.running_expiry),
            cd: wait(policy.reward_claim_delay),
            cx: wait(policy.closed_expiry),
            rc: wait(policy.reward_claim),
            rl: wait(policy.reminder_lead),
            ml: wait(policy.reminder_max_late),
            mf: MisfireForm::from(&policy.misfire),
        }
    }
}

impl PolicyForm {
    pub(super) fn decode(&self) -> Policy {
        Policy {
            created_expiry: TimeDelta::microseconds(self.ce),
            running_expiry: TimeDelta::microseconds(self.re),
            reward_claim_delay: TimeDelta::microseconds(self.cd),
            closed_expiry: TimeDelta::microseconds(self.cx),
            reward_claim: TimeDelta::microseconds(self.rc),
            reminder_lead: TimeDelta::microseconds(self.rl),
            reminder_max_late: TimeDelta::microseconds(self.ml),
            misfire: self.mf.decode(),
        }
    }
}

/// Overrides; waits in seconds.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct OverridesForm {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ce: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    re: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cd: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cx: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rc: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rl: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ml: Option<u32>,
    #[serde(default, skip_serializing_if = "MisfireForm::is_empty")]
    mf: MisfireForm,
}

impl From<&PolicyOverrides> for OverridesForm {
    fn from(overrides: &PolicyOverrides) -> Self {
        Self {
            ce: overrides.created_expiry_seconds,
            re: overrides.running_expiry_seconds,
            cd: overrides.reward_claim_delay_seconds,
            cx: overrides.closed_expiry_seconds,
            rc: overrides.reward_claim_seconds,
            rl: overrides.reminder_lead_seconds,
            ml: overrides.reminder_max_late_seconds,
            mf: MisfireForm::from(&overrides.misfire),
        }
    }
}

impl OverridesForm {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn decode(&self) -> PolicyOverrides {
        PolicyOverrides {
            created_expiry_seconds: self.ce,
            running_expiry_seconds: self.re,
            reward_claim_delay_seconds: self.cd,
            closed_expiry_seconds: self.cx,
            reward_claim_seconds: self.rc,
            reminder_lead_seconds: self.rl,
            reminder_max_late_seconds: self.ml,
            misfire: self.mf.decode(),
        }
    }
}

/// Misfire rules; what is absent is the kind's default.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct MisfireForm {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    st: Option<RuleForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cl: Option<RuleForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    oc: Option<RuleForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rr: Option<RuleForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ex: Option<RuleForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cu: Option<RuleForm>,
}

impl From<&MisfireRules> for MisfireForm {
    fn from(rules: &MisfireRules) -> Self {
        Self {
            st: rules.start.map(RuleForm::from),
            cl: rules.close.map(RuleForm::from),
            oc: rules.open_reward_claim.map(RuleForm::from),
            rr: rules.reward_reminder.map(RuleForm::from),
            ex: rules.expire.map(RuleForm::from),
            cu: rules.custom.map(RuleForm::from),
        }
    }
}

impl MisfireForm {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn decode(&self) -> MisfireRules {
        let rule = |form: Option<RuleForm>| form.map(RuleForm::decode);
        MisfireRules {
            start: rule(self.st),
            close: rule(self.cl),
            open_reward_claim: rule(self.oc),
            reward_reminder: rule(self.rr),
            expire: rule(self.ex),
            custom: rule(self.cu),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RuleForm {
    Fire,
    Skip,
    Hold,
}

impl From<Misfire> for RuleForm {
    fn from(rule: Misfire) -> Self {
        match rule {
            Misfire::Fire => Self::Fire,
            Misfire::Skip => Self::Skip,
            Misfire::Hold => Self::Hold,
        }
    }
}

impl RuleForm {
    fn decode(self) -> Misfire {
        match self {
            Self::Fire => Misfire::Fire,
            Self::Skip => Misfire::Skip,
            Self::Hold => Misfire::Hold,
        }
    }
}
