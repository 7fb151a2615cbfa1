//! The dead-letter queue: a desk, not a dump. What could not be processed waits for a person, with its cause.
//!
//! Rules:
//! * **D1** A letter, once added, is there until somebody settles it; adding the same origin again while it is open only
//!   raises its attempts and its last error.
//! * **D2** A letter is settled once: settling a settled one changes nothing and says so.
//! * **D3** Settled letters are kept as history.
//! * **D4** Nothing of another tenant is ever seen.

use async_trait::async_trait;
use domain::{CampaignId, JsonText, TenantId, Timestamp};
use uuid::Uuid;

use crate::PortError;
use crate::journal::Actor;
use crate::query::{Page, PageRequest};

/// Where a letter comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LetterKind {
    /// An inbound entry.
    Event,
    /// A timer that was given up.
    Timer,
}

impl LetterKind {
    /// Its name in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Timer => "timer",
        }
    }
}

/// Where a letter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LetterState {
    /// Waiting for a person.
    Open,
    /// Processed again, on request.
    Replayed,
    /// Given up, with a reason.
    Discarded,
}

impl LetterState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Open, Self::Replayed, Self::Discarded];

    /// Its name in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Replayed => "replayed",
            Self::Discarded => "discarded",
        }
    }
}

/// Something new for the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLetter {
    /// Its id (`UUIDv7`).
    pub id: Uuid,
    /// Whose; the default tenant where the entry does not say.
    pub tenant: TenantId,
    /// Where it comes from.
    pub kind: LetterKind,
    /// What it comes from: an entry id, a timer id.
    pub origin: String,
    /// The event's type, or the timer's kind.
    pub event_type: String,
    /// The campaign it is about, when that could be read.
    pub campaign: Option<CampaignId>,
    /// A stable code.
    pub code: String,
    /// What is wrong, in words.
    pub error: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it failed first.
    pub first_error_at: Timestamp,
    /// When it failed last.
    pub last_error_at: Timestamp,
    /// The original, complete: an object of an entry's fields, or the timer.
    pub original: String,
}

/// A letter in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// What it says.
    pub letter: NewLetter,
    /// Where it stands.
    pub state: LetterState,
    /// Who settled it, when and why.
    pub settled: Option<Settlement>,
}

/// The end of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// Who.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: Option<String>,
    /// More, as a JSON object.
    pub detail: Option<JsonText>,
}

/// Which letters of a tenant; empty means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LetterFilter {
    /// In this state.
    pub state: Option<LetterState>,
    /// Of this kind.
    pub kind: Option<LetterKind>,
    /// With this code.
    pub code: Option<String>,
    /// About this campaign.
    pub campaign: Option<CampaignId>,
    /// Of this event type or timer kind.
    pub event_type: Option<String>,
}

/// The queue.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait DeadLetters: Send + Sync + 'static {
    /// Adds letters.
    async fn add(&self, letters: Vec<NewLetter>) -> Result<(), PortError>;

    /// Letters, newest first.
    async fn list(
        &self,
        tenant: &TenantId,
        filter: &LetterFilter,
        page: &PageRequest,
    ) -> Result<Page<Letter>, PortError>;

    /// One letter.
    async fn get(&self, tenant: &TenantId, id: Uuid) -> Result<Option<Letter>, PortError>;

    /// Settles an open letter; answers whether it was open.
    async fn settle(
        &self,
        tenant: &TenantId,
        id: Uuid,
        state: LetterState,
        settlement: Settlement,
    ) -> Result<bool, PortError>;

    /// How many are open, over all tenants.
    async fn open_count(&self) -> Result<u64, PortError>;
}
