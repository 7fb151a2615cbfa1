//! From the journal to the world: the outbox, its publication, and what live clients read.
//!
//! Rules:
//! * **F1** [`Outbox::read`] gives facts strictly after a position, in order, without gaps, as committed.
//! * **F2** Publishing is in order and idempotent: what is at or below [`Publisher::top`] is dropped, a batch that does
//!   not continue right after the top is refused. After a success the top is the batch's last position.
//! * **F3** [`Feed`] shows exactly what was published: nothing above the top, nothing skipped, nothing twice.
//! * **F4** A live subscription gets every batch published after it began, or [`Live::Lagged`] once, and then those that
//!   follow.
//! * **F5** [`Feed::floor`] is the oldest position from which a reader still gets everything.
//! * **F7** [`Publisher::told`] names the fact at the top where it knows it, so that whoever publishes can tell whether
//!   it is the same log that the world was told from.
//! * **F6** [`Outbox::begin`] is the oldest position after which the outbox is whole. After [`Publisher::begin_after`] the
//!   top is that position or a later one: a world that knows nothing is told from there on.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{CampaignId, OwnerId, TenantId};
use uuid::Uuid;

use crate::PortError;
use crate::journal::{Position, Record};

/// The most records in one read.
pub const MAX_READ: usize = 1_000;

/// Facts that wait to be published.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Outbox: Send + Sync + 'static {
    /// At most `limit` records after `after`.
    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<Record>>, PortError>;

    /// The position after which it begins.
    async fn begin(&self) -> Result<Position, PortError>;
}

/// How far the world was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// Up to here.
    pub position: Position,
    /// The fact there; none at the start, and where nothing was told yet since the top was moved.
    pub fact: Option<Uuid>,
}

/// Tells the world.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Publisher: Send + Sync + 'static {
    /// How far the world was told.
    async fn told(&self) -> Result<Told, PortError>;

    /// The last position that the world was told.
    async fn top(&self) -> Result<Position, PortError> {
        Ok(self.told().await?.position)
    }

    /// Tells these records, which follow each other.
    async fn publish(&self, records: Vec<Arc<Record>>) -> Result<(), PortError>;

    /// Moves the top up to `begin`, unless it is there or beyond; what lies before is never told.
    async fn begin_after(&self, begin: Position) -> Result<(), PortError>;
}

/// Which records a reader wants.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// Of one campaign.
    Campaign(TenantId, CampaignId),
    /// Of one owner's campaigns.
    Owner(TenantId, OwnerId),
    /// Of a tenant.
    Tenant(TenantId),
    /// Notices of the service itself, which belong to [`TenantId::service`].
    System,
}

impl Channel {
    /// Whether `record` belongs to it.
    pub fn has(&self, record: &Record) -> bool {
        let fact = &record.fact;
        match self {
            Self::Campaign(tenant, id) => fact.tenant == *tenant && fact.entry.campaign() == Some(id),
            Self::Owner(tenant, owner) => fact.tenant == *tenant && fact.entry.owner() == Some(owner),
            Self::Tenant(tenant) => fact.tenant == *tenant,
            Self::System => fact.tenant == TenantId::service(),
        }
    }
}

/// What a live subscription brings.
#[derive(Debug, Clone)]
pub enum Live {
    /// Newly published records, in order.
    Records(Arc<[Arc<Record>]>),
    /// The subscriber was too slow and missed something; it can be read with [`Feed::read`].
    Lagged,
    /// There will be no more.
    Closed,
}

/// A live subscription.
#[async_trait]
pub trait LiveFeed: Send + 'static {
    /// The next thing; waits for it. Safe to drop while waiting.
    async fn next(&mut self) -> Live;
}

/// What live clients read.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Feed: Send + Sync + 'static {
    /// The last published position.
    fn top(&self) -> Position;

    /// The oldest position after which everything can still be read.
    async fn floor(&self) -> Result<Position, PortError>;

    /// At most `limit` records of `channel` after `after` and not above `up_to`, in order.
    async fn read(
        &self,
        channel: &Channel,
        after: Position,
        up_to: Position,
        limit: usize,
    ) -> Result<Vec<Arc<Record>>, PortError>;

    /// Everything published from now on.
    fn subscribe(&self) -> Box<dyn LiveFeed>;
}
