//! The state of a channel, sent when a client subscribes.

use chrono::{DateTime, Utc};
use domain::Status;
use ports::query::{Dossier, StoreStatus};
use schemars::JsonSchema;
use serde::Serialize;

use crate::http::{CampaignBody, TimerBody};

/// The state of a channel.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Snapshot {
    /// Of `campaign:<id>`.
    Campaign(Box<CampaignSnapshot>),
    /// Of `tenant`, or of an owner's part of it.
    Tenant(TenantSnapshot),
    /// Of `system`.
    System(SystemSnapshot),
}

/// A campaign and its timers.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CampaignSnapshot {
    /// The campaign.
    pub campaign: CampaignBody,
    /// Its timers in every state, earliest due first.
    pub timers: Vec<TimerBody>,
}

impl From<&Dossier> for CampaignSnapshot {
    fn from(dossier: &Dossier) -> Self {
        Self {
            campaign: CampaignBody::from(&dossier.campaign),
            timers: dossier.timers.iter().map(TimerBody::from).collect(),
        }
    }
}

/// How many campaigns of a tenant, or of an owner, are in each status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TenantSnapshot {
    /// Campaigns by status.
    pub counts: StatusCountsBody,
}

/// Campaigns by status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "each is the number of campaigns in that status")]
pub struct StatusCountsBody {
    pub created: u64,
    pub running: u64,
    pub closed: u64,
    pub reward_claim: u64,
    pub expired: u64,
    pub cancelled: u64,
}

impl From<&[(Status, u64)]> for StatusCountsBody {
    fn from(counts: &[(Status, u64)]) -> Self {
        let mut body = Self::default();
        for (status, count) in counts {
            let slot = match status {
                Status::Created => &mut body.created,
                Status::Running => &mut body.running,
                Status::Closed => &mut body.closed,
                Status::RewardClaim => &mut body.reward_claim,
                Status::Expired => &mut body.expired,
                Status::Cancelled => &mut body.cancelled,
            };
            *slot += count;
        }
        body
    }
}

/// The state of the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SystemSnapshot {
    /// The store's clock.
    pub now: DateTime<Utc>,
    /// The journal's head: how much was ever committed.
    pub head: u64,
    /// Pending timers past their due time, counted up to 10,000.
    pub overdue: u64,
    /// Due time of the oldest of them.
    pub oldest_overdue: Option<DateTime<Utc>>,
}

impl From<&StoreStatus> for SystemSnapshot {
    fn from(status: &StoreStatus) -> Self {
        Self { now: status.now, head: status.head.0, overdue: status.overdue, oldest_overdue: status.oldest_overdue }
    }
}
