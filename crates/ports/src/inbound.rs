//! Events from other services, read by a consumer group.
//!
//! Rules:
//! * **I1** Every appended entry is delivered to some consumer of the group, oldest first, also those appended before the
//!   group's first reader came.
//! * **I2** An entry stays pending until it is acknowledged, and survives the process.
//! * **I3** A pending entry of a consumer that is gone is handed to another by [`Inbound::reclaim`] once it was idle for
//!   long enough; not before.
//! * **I4** Acknowledging twice, or an unknown entry, does nothing.
//! * **I5** Entries that cannot be decoded are delivered too, with what is wrong with them.
//! * **I6** An entry that was never acknowledged is never removed.
//! * **I7** Once a consumer with a higher term was served, one with a lower term is handed nothing and acknowledges nothing,
//!   also if it has been waiting since before, and is told so by [`PortError::Contended`].
//!
//! The term is that of the lease under which a consumer reads: who was frozen and goes on, not knowing that another one has
//! taken over, must not get entries that come before what that one has dealt with.

use std::time::Duration;

use async_trait::async_trait;
use domain::{CampaignKey, Command, CommandId, Timestamp};

use crate::PortError;

/// An entry's id within the inbound stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId(pub String);

/// An entry's fields as they came, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RawEntry {
    /// Name and value, as text; bytes that are no UTF-8 are replaced.
    pub fields: Vec<(String, String)>,
}

/// An event that could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundEvent {
    /// Its id, which is the command's.
    pub id: CommandId,
    /// Its type in the contract.
    pub event_type: String,
    /// Who sent it.
    pub source: String,
    /// What the sender follows it by.
    pub correlation: Option<String>,
    /// The campaign that it is about.
    pub key: CampaignKey,
    /// What it asks for.
    pub command: Command,
    /// The version that the sender decided on.
    pub expected_version: Option<u64>,
    /// A digest of its content.
    pub fingerprint: [u8; 32],
}

/// Why an entry could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecodable {
    /// A stable code: `unknown_event_type`, `malformed_event`, ...
    pub code: String,
    /// In words, naming the field.
    pub message: String,
}

/// An entry handed to this consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its id.
    pub id: EntryId,
    /// As it came.
    pub raw: RawEntry,
    /// As it reads.
    pub event: Result<InboundEvent, Undecodable>,
    /// When it was appended.
    pub appended_at: Timestamp,
    /// How often it was handed out, this time included.
    pub deliveries: u32,
}

/// The inbound stream.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Inbound: Send + Sync + 'static {
    /// Reads an entry, as it would be read on delivery.
    fn decode(&self, raw: &RawEntry) -> Result<InboundEvent, Undecodable>;

    /// Appends entries, durably, as a producer does; answers their ids.
    async fn append(&self, entries: Vec<RawEntry>) -> Result<Vec<EntryId>, PortError>;

    /// Hands at most `max` new entries to `consumer` in its `term`; waits up to `wait` for the first.
    async fn fetch(&self, consumer: &str, term: u64, max: usize, wait: Duration) -> Result<Vec<Delivery>, PortError>;

    /// Hands `consumer` at most `max` entries that are pending with anybody, itself included, for `idle` or longer.
    async fn reclaim(&self, consumer: &str, term: u64, idle: Duration, max: usize) -> Result<Vec<Delivery>, PortError>;

    /// These are dealt with, says the consumer in `term`.
    async fn acknowledge(&self, term: u64, ids: &[EntryId]) -> Result<(), PortError>;

    /// When the oldest entry was appended that is not dealt with, delivered or not.
    async fn oldest_unread(&self) -> Result<Option<Timestamp>, PortError>;
}
