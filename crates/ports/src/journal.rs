//! The journal: everything that was ever committed, in one global order. It is the transition log, the outbox, the
//! audit trail and the source of every outbound event and WebSocket frame at once (ADR 0002).

use domain::{CampaignId, CommandId, Event, JsonText, OwnerId, Rejection, Status, Step, TenantId, Timer, Timestamp};
use uuid::Uuid;

/// A place in the journal, from 1, without gaps. `0` is before everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub u64);

impl Position {
    /// Before everything.
    pub const START: Self = Self(0);
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// In what capacity somebody acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActorKind {
    /// Another service, by an event on the bus.
    Producer,
    /// Another service, by a call.
    Service,
    /// A person.
    Operator,
    /// A due timer.
    Timer,
    /// This service itself.
    System,
}

impl ActorKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Producer, Self::Service, Self::Operator, Self::Timer, Self::System];

    /// Its name in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Producer => "producer",
            Self::Service => "service",
            Self::Operator => "operator",
            Self::Timer => "timer",
            Self::System => "system",
        }
    }
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// In what capacity.
    pub kind: ActorKind,
    /// Who: a token's `sub`, an event's `source`, `lifecycle` for timers and the service itself.
    pub subject: String,
}

impl Actor {
    /// The name space of the command ids that it gives: each producer has its own, and all who call share one, so that a
    /// call may be repeated with another token.
    pub fn sender(&self) -> String {
        match self.kind {
            ActorKind::Producer => format!("event/{}", self.subject),
            ActorKind::Service | ActorKind::Operator => "call".to_owned(),
            ActorKind::Timer => "timer".to_owned(),
            ActorKind::System => "system".to_owned(),
        }
    }

    /// The clock.
    pub fn timer() -> Self {
        Self { kind: ActorKind::Timer, subject: "lifecycle".to_owned() }
    }

    /// This service.
    pub fn system() -> Self {
        Self { kind: ActorKind::System, subject: "lifecycle".to_owned() }
    }
}

/// What something followed from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cause {
    /// The command that asked for it.
    pub command: Option<CommandId>,
    /// What the sender follows it by, through all services; at most 255 characters.
    pub correlation: Option<String>,
}

/// One committed fact at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place.
    pub position: Position,
    /// The fact.
    pub fact: Fact,
}

/// One fact, before the commit gives it a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Its id (`UUIDv7`), from which the ids of its outbound events derive.
    pub id: Uuid,
    /// When, by the store's clock.
    pub at: Timestamp,
    /// Whose.
    pub tenant: TenantId,
    /// By whom.
    pub actor: Actor,
    /// Because of what.
    pub cause: Cause,
    /// What.
    pub entry: Entry,
}

/// What a fact says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A campaign took a step.
    Step(Box<CampaignStep>),
    /// A command was refused; nothing changed.
    Rejected {
        /// The campaign that it named.
        campaign: CampaignId,
        /// The command's name.
        command: String,
        /// The stable code of the rejection.
        code: String,
        /// The rejection in words.
        message: String,
    },
    /// A timer could not fire and was given up; it is in the dead-letter queue.
    TimerFailed {
        /// Its campaign.
        campaign: CampaignId,
        /// The campaign's owner.
        owner: Option<OwnerId>,
        /// The timer.
        timer: Timer,
        /// How often it was tried.
        attempts: u32,
        /// What went wrong the last time.
        error: String,
    },
    /// An operator, or the service, did something that is no step of a campaign.
    Notice {
        /// What, as `area.verb`: `instance.started`, `recovery.completed`, `campaign.repaired`, ...
        name: String,
        /// The campaign that it is about, in whose history it then stands.
        campaign: Option<CampaignId>,
        /// On what.
        subject: String,
        /// Details as a JSON object.
        detail: JsonText,
    },
}

/// A step of a campaign with what the world is told beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CampaignStep {
    /// Which campaign.
    pub campaign: CampaignId,
    /// Its owner.
    pub owner: Option<OwnerId>,
    /// The status after the step.
    pub status: Status,
    /// The step.
    pub step: Step,
    /// Timers that this step cancelled; those that fired or were skipped are in the event.
    pub cancelled: Vec<Timer>,
    /// The campaign's metadata, on status changes and the beginning only.
    pub metadata: Option<JsonText>,
}

impl Entry {
    /// The campaign that it is about, if any.
    pub fn campaign(&self) -> Option<&CampaignId> {
        match self {
            Self::Step(step) => Some(&step.campaign),
            Self::Rejected { campaign, .. } | Self::TimerFailed { campaign, .. } => Some(campaign),
            Self::Notice { campaign, .. } => campaign.as_ref(),
        }
    }

    /// The owner of the campaign that it is about, if any.
    pub fn owner(&self) -> Option<&OwnerId> {
        match self {
            Self::Step(step) => step.owner.as_ref(),
            Self::TimerFailed { owner, .. } => owner.as_ref(),
            Self::Rejected { .. } | Self::Notice { .. } => None,
        }
    }

    /// The campaign's sequence after it, if it is a step.
    pub fn sequence(&self) -> Option<u64> {
        match self {
            Self::Step(step) => Some(step.step.sequence),
            Self::Rejected { .. } | Self::TimerFailed { .. } | Self::Notice { .. } => None,
        }
    }

    /// Makes a rejection of `command`.
    pub fn rejected(campaign: CampaignId, command: &str, rejection: &Rejection) -> Self {
        Self::Rejected {
            campaign,
            command: command.to_owned(),
            code: rejection.code().to_owned(),
            message: rejection.to_string(),
        }
    }

    /// Whether it is a change of status, the beginning included.
    pub fn is_transition(&self) -> bool {
        match self {
            Self::Step(step) => {
                matches!(step.step.event, Event::StatusChanged { .. } | Event::Initialized { .. })
            }
            Self::Rejected { .. } | Self::TimerFailed { .. } | Self::Notice { .. } => false,
        }
    }
}
