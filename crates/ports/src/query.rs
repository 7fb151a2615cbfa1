//! The read side. Every call reads one consistent moment.
//!
//! Rules:
//! * **Q1** Whatever was committed before a call began is seen by it.
//! * **Q2** Pages go from the newest to the oldest (timers: from the earliest due) and are stable: what is added while
//!   somebody pages neither hides nor repeats an item that was there before.
//! * **Q3** Nothing of another tenant is ever seen.
//! * **Q4** A dossier's campaign, timers and head were true at the same moment.

use async_trait::async_trait;
use domain::{Campaign, CampaignKey, OwnerId, Status, TenantId, Timer, TimerId, Timestamp};

use crate::PortError;
use crate::journal::{Position, Record};

/// The largest page.
pub const MAX_PAGE: usize = 200;

/// Where the next page begins, as the adapter said at the end of the last one. Opaque; adapters check it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageCursor(pub String);

/// One page.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next one begins; none after the last.
    pub next: Option<PageCursor>,
}

/// Which page.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// Where it begins; none for the first.
    pub after: Option<PageCursor>,
    /// How many items, 1 to [`MAX_PAGE`].
    pub limit: usize,
}

/// Which campaigns of a tenant; empty means all.
#[derive(Debug, Clone, Default)]
pub struct CampaignFilter {
    /// In one of these statuses; empty means any.
    pub statuses: Vec<Status>,
    /// Of this owner.
    pub owner: Option<OwnerId>,
    /// Whose window ends after this.
    pub from: Option<Timestamp>,
    /// Whose window starts before this.
    pub to: Option<Timestamp>,
    /// Whose id begins with this.
    pub id_prefix: Option<String>,
}

/// The state of a row of the timer table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimerState {
    /// Armed.
    Pending,
    /// Fired or skipped.
    Completed,
    /// Cancelled.
    Cancelled,
    /// Given up, in the dead-letter queue.
    Failed,
}

impl TimerState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Completed, Self::Cancelled, Self::Failed];

    /// Its name in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Completed => "COMPLETED",
            Self::Cancelled => "CANCELLED",
            Self::Failed => "FAILED",
        }
    }
}

/// Which timers of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimerFilter {
    /// Armed.
    Pending,
    /// Armed and past their due time, held ones included.
    Overdue,
    /// Given up.
    Failed,
}

/// A row of the timer table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimerRow {
    /// Its campaign.
    pub key: CampaignKey,
    /// The timer.
    pub timer: Timer,
    /// Its state.
    pub state: TimerState,
    /// Whether it waits for an operator.
    pub held: bool,
    /// How often it was tried in vain.
    pub attempts: u32,
    /// When it is tried again.
    pub retry_at: Option<Timestamp>,
    /// What went wrong the last time.
    pub error: Option<String>,
    /// When it fired or was skipped.
    pub completed_at: Option<Timestamp>,
}

/// All about one campaign at one moment.
#[derive(Debug, Clone)]
pub struct Dossier {
    /// The campaign.
    pub campaign: Campaign,
    /// Its timers in every state, earliest due first, at most [`MAX_PAGE`] finished ones.
    pub timers: Vec<TimerRow>,
    /// The journal's head at that moment.
    pub head: Position,
}

/// How many timers of one kind come due in one stretch of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForecastRow {
    /// The stretch's beginning.
    pub bucket: Timestamp,
    /// The kind, in the contract's words.
    pub kind: String,
    /// How many.
    pub count: u64,
}

/// The present state of the whole store, for health and `/system`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreStatus {
    /// The store's clock.
    pub now: Timestamp,
    /// The journal's head.
    pub head: Position,
    /// Due time of the oldest pending, unheld timer that is past due.
    pub oldest_overdue: Option<Timestamp>,
    /// Pending timers past their due time, unheld, counted up to 10,000.
    pub overdue: u64,
    /// Whether the last commit failed, for lack of space for example, and none succeeded since.
    pub failing: bool,
}

/// How many campaigns of a tenant are in each status.
pub type StatusCounts = Vec<(Status, u64)>;

/// The read side.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Queries: Send + Sync + 'static {
    /// One campaign.
    async fn campaign(&self, key: &CampaignKey) -> Result<Option<Campaign>, PortError>;

    /// One campaign with its timers.
    async fn dossier(&self, key: &CampaignKey) -> Result<Option<Dossier>, PortError>;

    /// Campaigns, newest first. [`PortError::Refused`] for a cursor that is not one.
    async fn campaigns(
        &self,
        tenant: &TenantId,
        filter: &CampaignFilter,
        page: &PageRequest,
    ) -> Result<Page<Campaign>, PortError>;

    /// The journal of one campaign, oldest first: its steps, its rejections, its failed timers.
    async fn history(&self, key: &CampaignKey, after: Position, limit: usize) -> Result<Vec<Record>, PortError>;

    /// One timer.
    async fn timer(&self, tenant: &TenantId, id: TimerId) -> Result<Option<TimerRow>, PortError>;

    /// Timers, earliest due first.
    async fn timers(
        &self,
        tenant: &TenantId,
        owner: Option<OwnerId>,
        filter: TimerFilter,
        page: &PageRequest,
    ) -> Result<Page<TimerRow>, PortError>;

    /// Pending lifecycle timers that come due in `[from, to)`, counted per `bucket_seconds` since `from` and kind.
    async fn forecast(
        &self,
        tenant: &TenantId,
        from: Timestamp,
        to: Timestamp,
        bucket_seconds: u32,
    ) -> Result<Vec<ForecastRow>, PortError>;

    /// Campaigns per status, with the journal's head at the same moment.
    async fn counts(&self, tenant: &TenantId, owner: Option<OwnerId>) -> Result<(StatusCounts, Position), PortError>;

    /// The whole store.
    async fn status(&self) -> Result<StoreStatus, PortError>;
}
