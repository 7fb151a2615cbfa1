//! What keeps the streams in order: old entries that all groups have dealt with go, and consumers that are no more. What
//! is not dealt with never goes, however old it is.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ports::PortError;
use ports::feed::Outbox;
use ports::journal::Position;
use ports::upkeep::Upkeep;

use crate::failure::writing;
use crate::inbound::GROUP;
use crate::link::{Link, Script};
use crate::names::{DEAD_LETTERS, INBOUND, Names, OUTBOUND};
use crate::values::{arg, number};

/// So many entries go in one step: other clients of the server wait meanwhile.
const PORTION: u64 = 10_000;
/// A consumer that was not seen for so long is no more.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(1);

static TRIM: Script = Script::new(include_str!("scripts/trim.lua"));
static FORGET: Script = Script::new(include_str!("scripts/forget.lua"));

/// Which entries may go.
#[derive(Clone, Copy)]
enum Keep {
    /// Those that are older.
    History(Duration),
    /// Those of earlier positions.
    From(Position),
}

/// Trims the streams.
pub struct Trimmer {
    link: Arc<Link>,
    names: Names,
    inbound_history: Duration,
    dead_letter_history: Duration,
}

impl Trimmer {
    pub(crate) fn new(link: Arc<Link>, names: Names, inbound: Duration, dead_letters: Duration) -> Self {
        Self { link, names, inbound_history: inbound, dead_letter_history: dead_letters }
    }

    /// Removes inbound entries that all groups have dealt with and that are older than the history; nothing where the
    /// group of this service is missing. Answers how many.
    pub async fn trim_inbound(&self) -> Result<u64, PortError> {
        self.trim(INBOUND, Keep::History(self.inbound_history), GROUP).await
    }

    /// The same for the dead-letter stream, which may have no group.
    pub async fn trim_dead_letters(&self) -> Result<u64, PortError> {
        self.trim(DEAD_LETTERS, Keep::History(self.dead_letter_history), "").await
    }

    /// Removes outbound entries at or below `below` that no group still needs. Answers how many.
    pub async fn trim_outbound(&self, below: Position) -> Result<u64, PortError> {
        let mut gone = 0;
        for stream in OUTBOUND {
            gone += self.trim(stream, Keep::From(Position(below.0 + 1)), "").await?;
        }
        Ok(gone)
    }

    /// Forgets consumers of the inbound group that hold nothing and were not seen for an hour. Answers how many.
    pub async fn forget_idle_consumers(&self) -> Result<u64, PortError> {
        let args = vec![GROUP.into(), arg(FORGOTTEN_AFTER.as_millis())];
        match self.link.run(&FORGET, vec![self.names.of(INBOUND)], args).await {
            Ok(answer) => Ok(number(&answer).unwrap_or_default()),
            Err(error) if error.details().starts_with("NOGROUP") => Ok(0),
            Err(error) => Err(writing(error)),
        }
    }

    async fn trim(&self, stream: &'static str, keep: Keep, group: &str) -> Result<u64, PortError> {
        let (from, history) = match keep {
            Keep::History(history) => (String::new(), history.as_millis()),
            Keep::From(position) => (format!("{position}-0"), 0),
        };
        let mut gone = 0;
        loop {
            let args = vec![from.as_str().into(), arg(history), group.into(), arg(PORTION)];
            let answer = self.link.run(&TRIM, vec![self.names.of(stream)], args).await.map_err(writing)?;
            let portion = number(&answer).unwrap_or_default();
            gone += portion;
            if portion == 0 {
                return Ok(gone);
            }
        }
    }
}

/// Trims what other services send, and forgets lost consumers.
pub(crate) struct InboundUpkeep(pub(crate) Arc<Trimmer>);

#[async_trait]
impl Upkeep for InboundUpkeep {
    fn name(&self) -> &'static str {
        "redis.inbound"
    }

    fn every(&self) -> Duration {
        Duration::from_mins(1)
    }

    async fn run(&self) -> Result<(), PortError> {
        self.0.trim_inbound().await?;
        self.0.trim_dead_letters().await?;
        self.0.forget_idle_consumers().await?;
        Ok(())
    }
}

/// Trims what the world was told to as far back as the outbox reaches: no further could it be told again.
pub(crate) struct OutboundUpkeep(pub(crate) Arc<Trimmer>, pub(crate) Arc<dyn Outbox>);

#[async_trait]
impl Upkeep for OutboundUpkeep {
    fn name(&self) -> &'static str {
        "redis.outbound"
    }

    fn every(&self) -> Duration {
        Duration::from_mins(1)
    }

    async fn run(&self) -> Result<(), PortError> {
        self.0.trim_outbound(self.1.begin().await?).await?;
        Ok(())
    }
}
