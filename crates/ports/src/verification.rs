//! What `lifecycle verify`, `audit verify` and `replay` read, in batches, on a live store.
//!
//! Rules:
//! * **V1** A file's state, log and timers were true at the same moment.
//! * **V2** Every campaign is met exactly once, also while others are added.
//! * **V3** Whatever would make a store not find a campaign or not fire a timer, although its state is right, is a fault.
//! * **V4** A rebuild changes a campaign and writes down what was different in one commit, while nobody else can change it.
//!   Done again, it changes nothing.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::invariants::Violation;
use domain::{Campaign, CampaignKey, Step, Timer, TimerId};

use crate::PortError;
use crate::clock::Ids;
use crate::journal::{Actor, Position, Record};

/// One campaign with everything that its invariants speak of.
#[derive(Debug, Clone)]
pub struct CaseFile {
    /// Which.
    pub key: CampaignKey,
    /// Its stored state, or why it cannot be read.
    pub stored: Result<Campaign, String>,
    /// Its log, or why it cannot be read.
    pub log: Result<Vec<Step>, String>,
    /// Its timers in state PENDING.
    pub pending: Vec<Timer>,
    /// Its timers in state FAILED.
    pub failed: Vec<TimerId>,
    /// Where what the store keeps to find it by (columns, due times, rows that cannot be read) says something else than
    /// its state.
    pub faults: Vec<Violation>,
}

/// One link of the audit chain, as the store checked it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainPage {
    /// The last position that was checked; the start when there was nothing more.
    pub last: Position,
    /// The hash at that position, in hex.
    pub hash: String,
    /// How many records were checked.
    pub checked: u64,
    /// What is wrong, at most 100.
    pub faults: Vec<ChainFault>,
    /// Whether this was the end.
    pub done: bool,
}

/// A place where the chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainFault {
    /// Where.
    pub position: Position,
    /// What is wrong.
    pub detail: String,
}

/// Reads for proofs.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Verification: Send + Sync + 'static {
    /// At most `limit` campaigns after `after`, by key.
    async fn case_files(&self, after: Option<CampaignKey>, limit: usize) -> Result<Vec<CaseFile>, PortError>;

    /// Commands that stand in the journal after `after` for a second decision less than `within` after the one before, at
    /// most `limit`: tenant/id and how many decisions (INV-7). An id is remembered for a limited time and may be used again
    /// after it; a timer's firing and a sender's command are never the same, whatever their ids.
    async fn doubled_commands(
        &self,
        after: Position,
        within: TimeDelta,
        limit: usize,
    ) -> Result<Vec<(String, u64)>, PortError>;

    /// Recomputes at most `limit` links of the chain after `after`, whose hash must be `hash` (empty at the start).
    async fn check_chain(&self, after: Position, hash: &str, limit: usize) -> Result<ChainPage, PortError>;

    /// Writes the state and the timer table of every campaign that differs from its log anew from it, with a notice in the
    /// campaign's history that tells what was different (V4).
    async fn rebuild(&self, order: &RebuildOrder) -> Result<RebuildReport, PortError>;
}

/// Who wants a store to be rebuilt, and why.
#[derive(Clone)]
pub struct RebuildOrder {
    /// Who.
    pub actor: Actor,
    /// Why, in words.
    pub reason: String,
    /// Names the notices.
    pub ids: Arc<dyn Ids>,
}

/// What a rebuild did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RebuildReport {
    /// Campaigns folded.
    pub campaigns: u64,
    /// Those whose stored state or timers were different, or missing; with the version that their log gives.
    pub repaired: Vec<(CampaignKey, u64)>,
    /// Those whose log cannot be folded; left as they are.
    pub unreadable: Vec<CampaignKey>,
}

/// What the world was told, to be compared with the log (INV-6). Reads only, but for [`Streams::forget`].
///
/// Rules:
/// * **V5** What is found is what a reader of the streams is missing, or is told otherwise than the log has it.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Streams: Send + Sync + 'static {
    /// How far the world was told.
    async fn told(&self) -> Result<Position, PortError>;

    /// Compares what the streams hold at the positions of `records`, which follow each other and were told.
    async fn compare(&self, records: &[Arc<Record>]) -> Result<Vec<StreamFault>, PortError>;

    /// Has `stream` told again, to each of its readers from where it is missing something on: its entries are taken away,
    /// and whoever publishes next tells them with the same ids. Readers keep their names.
    async fn forget(&self, stream: &str, from: Position) -> Result<(), PortError>;
}

/// A place where a stream does not hold what the log says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamFault {
    /// Which stream.
    pub stream: String,
    /// The record.
    pub position: Position,
    /// What is wrong.
    pub detail: String,
}
