//! The write side: one decision, one commit.
//!
//! Rules:
//! * **S1** All changes of one call commit together, or none does; what was confirmed survives the process.
//! * **S2** The decision sees the present: it runs while the store holds the campaigns of its scope, so no two decisions
//!   ever see the same version of one campaign. It may run more than once; only the last run counts.
//! * **S3** Facts get the next positions, without gaps, in the order given. Positions never go back.
//! * **S4** `View::now` is the store's clock, taken when the campaigns are held, and never goes back.
//! * **S5** A due scope brings pending, unheld timers with `due <= now`, earliest first, at most `limit`, and their
//!   campaigns. A timer waiting for a retry is due again at its retry time.
//! * **S6** An inbox entry, once committed, is found by every later scope that names its command, for at least the
//!   inbox's retention. A second entry for the same command is refused ([`PortError::Refused`]).
//! * **S7** A campaign is written only on top of the version that the decision saw; anything else is refused.
//! * **S8** At most one pending timer per campaign and kind (CUSTOM: per name); a second one is refused.
//! * **S9** A stored campaign that cannot be read is reported in `View::unreadable`; the rest of the batch goes on.
//! * **S10** When the caller stops waiting, the commit still happens as a whole or not at all.
//! * **S11** A campaign that somebody else holds for longer than the store waits is reported in `View::busy` and not shown; the
//!   rest of the batch goes on.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use domain::{Campaign, CampaignKey, CommandId, TenantId, Timer, TimerId, Timestamp};

use crate::PortError;
use crate::dead_letters::NewLetter;
use crate::journal::{Fact, Position};

/// The most items that one call may bring.
pub const MAX_BATCH: usize = 1_000;

/// What a decision wants to see and to hold.
#[derive(Debug, Clone)]
pub enum Scope {
    /// These campaigns, and what the inbox knows of these commands.
    Campaigns {
        /// The campaigns; those that do not exist are simply not in the view.
        keys: Vec<CampaignKey>,
        /// The commands.
        commands: Vec<CommandKey>,
    },
    /// Timers that are due, with their campaigns.
    Due {
        /// At most so many timers.
        limit: usize,
    },
}

/// A command's name: unique for its sender within a tenant, since senders number their commands on their own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CommandKey {
    /// Whose.
    pub tenant: TenantId,
    /// Who named it: [`Actor::sender`].
    pub sender: String,
    /// Which.
    pub id: CommandId,
}

/// What a decision sees.
#[derive(Debug, Default)]
pub struct View {
    /// The store's clock.
    pub now: Timestamp,
    /// The campaigns of the scope that exist.
    pub campaigns: HashMap<CampaignKey, Campaign>,
    /// The campaigns of the scope that exist and cannot be read, with the reason.
    pub unreadable: HashMap<CampaignKey, String>,
    /// The campaigns of the scope that somebody else holds: nothing can be decided about them now.
    pub busy: HashSet<CampaignKey>,
    /// What the inbox knows.
    pub inbox: HashMap<CommandKey, InboxEntry>,
    /// The due timers, earliest first.
    pub due: Vec<DueTimer>,
}

/// A timer that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueTimer {
    /// Its campaign.
    pub key: CampaignKey,
    /// The timer.
    pub timer: Timer,
    /// How often it was tried in vain.
    pub attempts: u32,
}

/// A pure decision. Everything it wants done is in what it returns.
pub trait Decision: Send + Sync {
    /// Decides on `view`. May be called again on another view when the first commit failed.
    fn decide(&self, view: &View) -> Changes;
}

/// All that one commit does, in order.
#[derive(Debug, Default)]
pub struct Changes {
    /// Campaigns in their new state, each once.
    pub campaigns: Vec<CampaignWrite>,
    /// New facts, in order.
    pub facts: Vec<Fact>,
    /// Changes of the timer table, in order.
    pub timers: Vec<TimerWrite>,
    /// Commands that are now answered.
    pub inbox: Vec<(CommandKey, InboxEntry)>,
    /// Timers that were given up, for the dead-letter queue.
    pub letters: Vec<NewLetter>,
}

/// A campaign's new state.
#[derive(Debug)]
pub struct CampaignWrite {
    /// The version that the decision saw; 0 for a new campaign.
    pub from_version: u64,
    /// The new state.
    pub campaign: Campaign,
}

/// A change of the timer table. Complete and Cancel end a FAILED timer, too; any change of a timer that is at its end
/// already does nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimerWrite {
    /// PENDING.
    Arm {
        /// Its campaign.
        key: CampaignKey,
        /// The timer.
        timer: Timer,
    },
    /// PENDING → COMPLETED: it fired, or was skipped.
    Complete {
        /// Which.
        id: TimerId,
        /// When.
        at: Timestamp,
    },
    /// PENDING → CANCELLED.
    Cancel {
        /// Which.
        id: TimerId,
    },
    /// Still PENDING, and out of the clock's reach.
    Hold {
        /// Which.
        id: TimerId,
    },
    /// Still PENDING; try again later.
    Retry {
        /// Which.
        id: TimerId,
        /// When.
        at: Timestamp,
        /// How often it was tried.
        attempts: u32,
        /// What went wrong.
        error: String,
    },
    /// PENDING → FAILED: given up.
    Fail {
        /// Which.
        id: TimerId,
        /// How often it was tried.
        attempts: u32,
        /// What went wrong.
        error: String,
    },
}

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It changed the campaign, which is now at this version.
    Applied {
        /// The campaign's version.
        version: u64,
    },
    /// All was as asked for already.
    Unchanged {
        /// The campaign's version.
        version: u64,
    },
    /// It was refused.
    Rejected {
        /// The stable code.
        code: String,
        /// In words.
        message: String,
    },
}

/// A remembered answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxEntry {
    /// The campaign that the command named.
    pub key: CampaignKey,
    /// A digest of what was asked: the same id with other content is a mistake of the sender.
    pub fingerprint: [u8; 32],
    /// What it came to.
    pub outcome: Outcome,
    /// When.
    pub at: Timestamp,
}

/// What a commit did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The decision's `View::now`.
    pub now: Timestamp,
    /// The position of the first fact, if there was one; the others follow.
    pub first_position: Option<Position>,
    /// How many due timers the view had.
    pub due: usize,
    /// When the next pending, unheld timer comes due, after this commit.
    pub next_due: Option<Timestamp>,
}

/// The write side.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Holds what `scope` names, asks `decision`, commits what it wants.
    async fn transact(&self, scope: Scope, decision: Arc<dyn Decision>) -> Result<Receipt, PortError>;

    /// Forgets inbox entries older than `before`, in small portions; answers how many.
    async fn forget_commands(&self, before: Timestamp) -> Result<u64, PortError>;
}
