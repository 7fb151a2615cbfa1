//! How the service itself is doing.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// How the service is doing.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SystemBody {
    /// The instances that work on the store; the one that answers first.
    pub instances: Vec<InstanceBody>,
    /// The store's clock.
    pub now: DateTime<Utc>,
    /// The journal's head: how much was ever committed.
    pub head: u64,
    /// How much of it the world was told.
    pub published: u64,
    /// Pending timers past their due time, counted up to 10,000.
    pub overdue: u64,
    /// Due time of the oldest of them.
    pub oldest_overdue: Option<DateTime<Utc>>,
    /// When the oldest inbound event came that is not dealt with.
    pub oldest_unread: Option<DateTime<Utc>>,
    /// Dead letters that wait for a person.
    pub dead_letters: u64,
    /// The loops that keep the service going.
    pub tasks: Vec<TaskBody>,
    /// The thresholds, and what to do when one is crossed.
    pub advice: Vec<AdviceBody>,
    /// The last recovery.
    pub recovery: Option<RecoveryBody>,
    /// What goes over the stored data, again and again, found; null while another instance does that.
    pub verification: Option<VerificationBody>,
}

/// An instance of the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceBody {
    /// Its name.
    pub id: String,
    /// The program's version.
    pub version: String,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// Its last sign of life, by the store's clock; none for the one that answers.
    pub seen_at: Option<DateTime<Utc>>,
}

/// One of the loops that keep the service going.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskBody {
    /// Which.
    pub name: String,
    /// How often it had to be started again.
    pub restarts: u64,
    /// When it last finished a round.
    pub last_round: Option<DateTime<Utc>>,
}

/// A threshold, and what to do when it is crossed.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdviceBody {
    /// What is measured.
    pub measure: String,
    /// What it is.
    pub value: f64,
    /// In which unit.
    pub unit: String,
    /// From where on something should be done.
    pub threshold: f64,
    /// Whether it is crossed.
    pub crossed: bool,
    /// What to do then.
    pub action: String,
}

/// What a recovery found and did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryBody {
    /// Its id.
    pub id: Uuid,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it was done.
    pub finished_at: DateTime<Utc>,
    /// Timers that were past due when it began, counted up to 10,000.
    pub overdue: u64,
    /// Due time of the oldest of them.
    pub oldest_overdue: Option<DateTime<Utc>>,
    /// Timers dealt with by it: fired, skipped or held.
    pub caught_up: u64,
    /// Facts that were committed and not yet published when it began.
    pub unpublished: u64,
    /// When the oldest inbound event came that was not dealt with when it began.
    pub oldest_unread: Option<DateTime<Utc>>,
}

/// What goes over the stored data, again and again, found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerificationBody {
    /// Whether the last look everywhere found nothing wrong.
    pub ok: bool,
    /// How far it is.
    pub grounds: Vec<GroundBody>,
    /// The invariants that are broken; `lifecycle verify` names every place.
    pub violations: Vec<InvariantCountBody>,
    /// The audit chain's head as it was noted last. Kept elsewhere, it proves later that nothing before it was touched.
    pub audit_head: Option<AuditHeadBody>,
}

/// Something that is gone over again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroundBody {
    /// What: `campaigns`, `chain`, `streams`.
    pub what: String,
    /// How much was checked in the round that goes on, or in the last one.
    pub checked: u64,
    /// How many rounds this instance finished.
    pub rounds: u64,
    /// When the last one ended.
    pub last_round: Option<DateTime<Utc>>,
}

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvariantCountBody {
    /// Which, as in `INV-3`.
    pub invariant: String,
    /// At how many places.
    pub count: u64,
}

/// A head of the audit chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditHeadBody {
    /// Its position.
    pub position: u64,
    /// Its hash, in hex.
    pub hash: String,
    /// When it was noted.
    pub noted_at: DateTime<Utc>,
}
