//! The life of a campaign as pure values and functions.
//!
//! Lives here: states and the transition table, the timer plan, policy, commands, events, rejections and the
//! invariants. Does not live here: I/O, async, serialisation, clocks, randomness. Time and ids come in as values.
//!
//! The three questions of the service, each one function:
//! * [`decide`]: what happens if this command meets this state now?
//! * [`evolve`]: which state follows from this step of the log?
//! * [`plan`]: which timers must this state have?

mod campaign;
mod command;
mod decide;
mod definition;
mod event;
mod evolve;
mod id;
pub mod invariants;
pub mod lifecycle;
mod misfire;
mod policy;
mod rejection;
mod schedule;
mod timer;
mod window;

pub use campaign::{Campaign, Phase};
pub use command::{Changes, Command, Requester, WindowChange};
pub use decide::decide;
pub use definition::{Definition, DefinitionError, JsonText, JsonTooLarge, MAX_JSON_BYTES};
pub use event::{Event, SkipReason, Step};
pub use evolve::{FoldError, advance, evolve, fold};
pub use id::{CampaignId, CampaignKey, CommandId, InvalidId, OwnerId, Reason, TenantId, TimerId, TimerName};
pub use lifecycle::{Status, Trigger};
pub use misfire::{Misfire, MisfireRules};
pub use policy::{Policy, PolicyError, PolicyOverrides};
pub use rejection::Rejection;
pub use schedule::{Planned, plan};
pub use timer::{Firing, LifecycleTimer, Timer, TimerKind};
pub use window::{Window, WindowEnd, WindowError};

/// A UTC instant. Stores keep microseconds; clocks hand out whole microseconds.
pub type Timestamp = chrono::DateTime<chrono::Utc>;

/// The most CUSTOM reminders that one campaign may have pending at once.
pub const MAX_REMINDERS: usize = 100;
