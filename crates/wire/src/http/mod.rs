//! The bodies of the HTTP interface (DESIGN §6). Requests refuse unknown fields, so that a misspelt one is not lost.

mod campaign;
mod commands;
mod letters;
mod lifecycle;
mod names;
mod policy;
mod problem;
mod system;
mod timer;

use serde::Serialize;
use utoipa::ToSchema;

pub use campaign::{BatchBody, BatchOutcome, BatchResult, BatchResults, CampaignBody, CreateCampaign, NextTimer};
pub use commands::{
    CancelBody, ChangeStatusBody, DiscardBody, EventBody, EventReceipt, ScheduleTimerBody, UpdateCampaign,
};
pub use letters::{LetterBody, LetterFilterBody, ReplayBody, ReplayResult, ReplaysBody, SettlementBody};
pub use lifecycle::{LifecycleBody, TimelineBody, TimelineEntryBody, TransitionBody};
pub use names::{LetterKindName, LetterStateName, StatusName, TimerStateName};
pub use policy::{MisfireBody, MisfireOverrides, PolicyBody, PolicyOverridesBody};
pub use problem::{FieldProblem, Problem};
pub use system::{
    AdviceBody, AuditHeadBody, GroundBody, InstanceBody, InvariantCountBody, RecoveryBody, SystemBody, TaskBody,
    VerificationBody,
};
pub use timer::{ActorBody, ForecastBody, ForecastBucket, ForecastCount, TimerBody};

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PageBody<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next page begins; null after the last.
    pub next_cursor: Option<String>,
}

#[cfg(test)]
mod tests;
