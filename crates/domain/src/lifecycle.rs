//! The life cycle as one table. Everything that is not a row of it is refused.

use std::fmt;
use std::str::FromStr;

/// Where a campaign stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
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

/// What moves a campaign from one status to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trigger {
    /// An event of the producer: `campaign.created`, `campaign.cancelled`.
    Producer,
    /// A person, or a service on a person's behalf.
    Operator,
    /// START_CAMPAIGN.
    StartTimer,
    /// CLOSE_CAMPAIGN.
    CloseTimer,
    /// OPEN_REWARD_CLAIM.
    OpenRewardClaimTimer,
    /// EXPIRE_CAMPAIGN.
    ExpireTimer,
    /// The engagement target was reached.
    Target,
}

/// One row of the table: `from` (none: a new campaign) → `to`, by `trigger`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// The status before; `None` for a new campaign.
    pub from: Option<Status>,
    /// The status after.
    pub to: Status,
    /// What does it.
    pub trigger: Trigger,
}

const fn row(from: Status, to: Status, trigger: Trigger) -> Transition {
    Transition { from: Some(from), to, trigger }
}

/// The transition table (DESIGN §3).
pub const TRANSITIONS: &[Transition] = &[
    Transition { from: None, to: Status::Created, trigger: Trigger::Producer },
    row(Status::Created, Status::Running, Trigger::StartTimer),
    row(Status::Created, Status::Running, Trigger::Operator),
    row(Status::Created, Status::Expired, Trigger::ExpireTimer),
    row(Status::Created, Status::Cancelled, Trigger::Producer),
    row(Status::Created, Status::Cancelled, Trigger::Operator),
    row(Status::Running, Status::Cancelled, Trigger::Producer),
    row(Status::Running, Status::Cancelled, Trigger::Operator),
    row(Status::Running, Status::Closed, Trigger::CloseTimer),
    row(Status::Running, Status::Closed, Trigger::Operator),
    row(Status::Running, Status::Closed, Trigger::Target),
    row(Status::Running, Status::Expired, Trigger::ExpireTimer),
    row(Status::Closed, Status::RewardClaim, Trigger::OpenRewardClaimTimer),
    row(Status::Closed, Status::RewardClaim, Trigger::Operator),
    row(Status::Closed, Status::Expired, Trigger::ExpireTimer),
    row(Status::RewardClaim, Status::Expired, Trigger::ExpireTimer),
];

/// Whether the table has this row.
pub fn is_allowed(from: Option<Status>, to: Status, trigger: Trigger) -> bool {
    TRANSITIONS.contains(&Transition { from, to, trigger })
}

impl Status {
    /// Every status, in the order of life.
    pub const ALL: [Self; 6] =
        [Self::Created, Self::Running, Self::Closed, Self::RewardClaim, Self::Expired, Self::Cancelled];

    /// Its name in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Running => "RUNNING",
            Self::Closed => "CLOSED",
            Self::RewardClaim => "REWARD_CLAIM",
            Self::Expired => "EXPIRED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Whether nothing can follow: no row of the table starts here.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Expired | Self::Cancelled)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of CREATED, RUNNING, CLOSED, REWARD_CLAIM, EXPIRED, CANCELLED")]
pub struct UnknownStatus;

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL.into_iter().find(|s| s.as_str() == text).ok_or(UnknownStatus)
    }
}

impl Trigger {
    /// Every trigger.
    pub const ALL: [Self; 7] = [
        Self::Producer,
        Self::Operator,
        Self::StartTimer,
        Self::CloseTimer,
        Self::OpenRewardClaimTimer,
        Self::ExpireTimer,
        Self::Target,
    ];

    /// Its name in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Producer => "producer",
            Self::Operator => "operator",
            Self::StartTimer => "START_CAMPAIGN",
            Self::CloseTimer => "CLOSE_CAMPAIGN",
            Self::OpenRewardClaimTimer => "OPEN_REWARD_CLAIM",
            Self::ExpireTimer => "EXPIRE_CAMPAIGN",
            Self::Target => "target",
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Trigger {
    type Err = UnknownTrigger;

    fn from_str(text: &str) -> Result<Self, UnknownTrigger> {
        Self::ALL.into_iter().find(|t| t.as_str() == text).ok_or(UnknownTrigger)
    }
}

/// A text that names no trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not the name of a trigger")]
pub struct UnknownTrigger;

/// The table as a Mermaid state diagram, for `docs/`.
pub fn mermaid() -> String {
    use fmt::Write as _;
    let mut out = String::from("stateDiagram-v2\n");
    for Transition { from, to, trigger } in TRANSITIONS {
        let from = from.map_or("[*]", Status::as_str);
        let _ = writeln!(out, "    {from} --> {to}: {trigger}");
    }
    for terminal in Status::ALL.into_iter().filter(|s| s.is_terminal()) {
        let _ = writeln!(out, "    {terminal} --> [*]");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_leaves_a_terminal_status_and_every_other_status_has_a_way_out() {
        for status in Status::ALL {
            let leaves = TRANSITIONS.iter().any(|t| t.from == Some(status));
            assert_eq!(leaves, !status.is_terminal(), "{status}");
        }
    }

    #[test]
    fn closed_and_reward_claim_cannot_be_cancelled() {
        for from in [Status::Closed, Status::RewardClaim] {
            for trigger in Trigger::ALL {
                assert!(!is_allowed(Some(from), Status::Cancelled, trigger));
            }
        }
    }

    #[test]
    fn names_are_read_back_as_written() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        for trigger in Trigger::ALL {
            assert_eq!(trigger.as_str().parse(), Ok(trigger));
        }
    }
}
