//! The use cases: handle commands, fire timers, relay the outbox, consume events, recover, query, settle dead letters.
//!
//! Lives here: what the service does, told in terms of `domain` and `ports`. Does not live here: any driver, format or
//! protocol; wall clocks and random ids come in through ports. Nothing starts by itself: the loops have a `run` each.

mod advice;
mod claim;
mod command_batch;
mod commands;
mod consume;
mod dead_letters;
mod fire_timers;
mod heartbeat;
mod history;
mod letters;
mod maintain;
mod notices;
mod patrol;
mod presence;
mod proof;
mod reads;
mod recovery;
mod relay;
mod repair;
mod system;
mod timeline;
mod timer_batch;
mod upkeep;
mod waiting_room;
mod workspace;

pub use advice::Advice;
pub use commands::{Answer, CommandRequest, CommandSettings, CommandWorker, Commands, SubmitError};
pub use consume::{Consumer, ConsumerParts, ConsumerSettings};
pub use dead_letters::{DeadLetterDesk, DeskError, DeskParts, Replayed};
pub use fire_timers::{TimerSettings, Timers};
pub use heartbeat::{Heartbeat, Heartbeats};
pub use maintain::Housekeeper;
pub use notices::Notices;
pub use patrol::{Ground, GroundReport, Patrol, PatrolParts, PatrolReport, PatrolSettings};
pub use presence::Presence;
pub use proof::{Chain, Found, Head, Progress, Proof, Telling, check_chain, prove};
pub use reads::Reads;
pub use recovery::{Recovery, RecoveryParts, RecoveryReport};
pub use relay::{Relay, RelayParts};
pub use repair::{RepairParts, Repaired, repair};
pub use system::{HealthSettings, PatrolProbe, Readiness, System, SystemParts, SystemReport, TaskHealth, UsageProbe};
pub use timeline::{Timeline, TimelineEntry};
pub use upkeep::{ForgetCommands, Maintenance};

/// The version of a campaign that was just created; its first step has it as its sequence.
const FIRST_VERSION: u64 = 1;

/// The policies that new campaigns get: the service's, and what tenants override.
#[derive(Debug, Clone, Default)]
pub struct Policies {
    /// The service's.
    pub base: domain::Policy,
    /// What tenants override.
    pub tenants: std::collections::BTreeMap<domain::TenantId, domain::PolicyOverrides>,
}

impl Policies {
    /// The policy for new campaigns of `tenant`, before their own overrides.
    pub fn of(&self, tenant: &domain::TenantId) -> domain::Policy {
        self.tenants.get(tenant).map_or(self.base, |over| self.base.with(over))
    }
}
