//! The relay: publishes what was committed, in order, each position once. Of many instances one relays at a time; that a
//! second one does no harm is the publisher's rule F2.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::CampaignKey;
use failpoints::Point;
use ports::PortError;
use ports::cache::Cache;
use ports::clock::Clock;
use ports::feed::{MAX_READ, Outbox, Publisher, Told};
use ports::journal::{Position, Record};
use ports::leases::Leases;
use ports::wakeups::Wakeups;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::FIRST_VERSION;
use crate::claim::{ASK_EVERY, Claim, Standing};
use crate::heartbeat::Heartbeat;

/// How long a relay that is to stop goes on publishing what waits. The rest waits for another one, which begins at once.
const DRAIN: Duration = Duration::from_secs(2);

/// How long the relay sleeps at most, should a wake-up be lost.
const SAFETY_POLL: Duration = Duration::from_secs(1);

/// What the relay works with.
#[derive(Clone)]
pub struct RelayParts {
    /// What waits.
    pub outbox: Arc<dyn Outbox>,
    /// Tells the world.
    pub publisher: Arc<dyn Publisher>,
    /// Hears first.
    pub cache: Arc<dyn Cache>,
    /// Tells that something waits.
    pub wakeups: Arc<dyn Wakeups>,
    /// Says who relays.
    pub leases: Arc<dyn Leases>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// Publishes the outbox.
pub struct Relay {
    parts: RelayParts,
    /// This instance's name.
    holder: String,
    heartbeat: Heartbeat,
}

impl Relay {
    /// A relay, not yet running.
    pub fn new(parts: RelayParts, holder: String, heartbeat: Heartbeat) -> Self {
        Self { parts, holder, heartbeat }
    }

    /// Publishes until `shutdown`, and then for a moment what is still waiting, while the relaying is this instance's.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut sleeper = self.parts.wakeups.subscribe();
        let mut claim = Claim::new(Arc::clone(&self.parts.leases), "relay", &self.holder);
        let mut drain = Drain { shutdown: shutdown.clone(), until: None };
        let mut failures = 0_u32;
        loop {
            let stopping = shutdown.is_cancelled();
            let pause = match self.publish_all(&mut claim, &mut drain).await {
                Ok(ours) => {
                    failures = 0;
                    self.heartbeat.beat(self.parts.clock.now());
                    if ours { SAFETY_POLL } else { ASK_EVERY }
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    let wait = Duration::from_millis(50 << failures.min(6));
                    tracing::error!(error = &error as &dyn std::error::Error, ?wait, "events cannot be published");
                    wait
                }
            };
            if stopping {
                claim.give_back().await;
                return; // what could not be published stays in the outbox
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {}
                () = sleeper.committed(), if pause == SAFETY_POLL => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Publishes everything that waits, if that is ours to do, or what time is left for; answers whether it is ours.
    async fn publish_all(&self, claim: &mut Claim, drain: &mut Drain) -> Result<bool, PortError> {
        let parts = &self.parts;
        if claim.standing().await? == Standing::None {
            return Ok(false);
        }
        // Asked each time: what the world has may have gone back (a replaced Redis), and then it is told again.
        failpoints::pass(Point::RelayRound);
        let mut told = parts.publisher.told().await?;
        loop {
            let records = self.after(&mut told).await?;
            let Some(last) = records.last() else { return Ok(true) };
            told = Told { position: last.position, fact: Some(last.fact.id) };
            let count = records.len();
            // First the cache: who hears of a step and then asks must not get the state before it.
            parts.cache.outdated(versions(&records)).await?;
            failpoints::pass(Point::RelayBeforePublish);
            parts.publisher.publish(records).await?;
            failpoints::pass(Point::RelayPublished);
            metrics::counter!("lifecycle_published_records_total").increment(count as u64);
            self.heartbeat.beat(parts.clock.now());
            // What is committed meanwhile is told in the next round; a stop must not wait for others to be silent.
            if count < MOST || drain.is_over() {
                return Ok(true);
            }
            if claim.standing().await? == Standing::None {
                return Ok(false);
            }
        }
    }

    /// The next records after what was told. The record that was told last is read with them, and must be the same one: a
    /// log that was replaced by an older copy, or another one, is noticed here, and nothing more is told of it.
    async fn after(&self, told: &mut Told) -> Result<Vec<Arc<Record>>, PortError> {
        let outbox = &self.parts.outbox;
        let before = Position(told.position.0.saturating_sub(1));
        let mut records = outbox.read(before, MAX_READ).await?;
        if told.position == Position::START {
            let begin = outbox.begin().await?;
            if begin > told.position {
                self.begin_after(told, begin).await?;
                records = outbox.read(begin, MAX_READ).await?;
            }
            return Ok(records);
        }
        match records.first() {
            Some(last) if last.position == told.position => {
                if told.fact.is_some_and(|fact| fact != last.fact.id) {
                    return Err(other_log(told.position, "holds another fact there"));
                }
                records.remove(0);
                Ok(records)
            }
            // The month that ended with the one told last was taken away.
            Some(next) if next.position.0 == told.position.0 + 1 => Ok(records),
            // Months of the log that were not told were taken away by hand.
            Some(_) => {
                self.begin_after(told, outbox.begin().await?).await?;
                outbox.read(told.position, MAX_READ).await
            }
            None => Err(other_log(told.position, "ends before")),
        }
    }

    async fn begin_after(&self, told: &mut Told, begin: Position) -> Result<(), PortError> {
        tracing::warn!(told = %told.position, %begin, "the world is told from where the outbox begins");
        self.parts.publisher.begin_after(begin).await?;
        *told = Told { position: begin, fact: None };
        Ok(())
    }
}

/// The time that a relay has once it is to stop, also when it is told so in the middle of a backlog.
struct Drain {
    shutdown: CancellationToken,
    until: Option<Instant>,
}

impl Drain {
    fn is_over(&mut self) -> bool {
        self.shutdown.is_cancelled() && Instant::now() >= *self.until.get_or_insert_with(|| Instant::now() + DRAIN)
    }
}

/// How many records come after the one that was told last.
const MOST: usize = MAX_READ - 1;

fn other_log(position: Position, how: &str) -> PortError {
    let detail = format!(
        "the world was told up to position {position}, and this log {how}: it is an older copy, or another one. \
         `lifecycle replay --streams` makes the streams anew from the log"
    );
    PortError::Corrupt { what: "the log", detail }
}

/// The version of every campaign after its last step in `records`; without those that are new, of which nobody can have kept
/// an older one.
fn versions(records: &[Arc<Record>]) -> Vec<(CampaignKey, u64)> {
    let steps = records.iter().filter_map(|record| {
        let (campaign, sequence) = (record.fact.entry.campaign()?, record.fact.entry.sequence()?);
        Some((CampaignKey { tenant: record.fact.tenant.clone(), id: campaign.clone() }, sequence))
    });
    // In order, so that the last one stays.
    let last: BTreeMap<_, _> = steps.collect();
    last.into_iter().filter(|(_, version)| *version > FIRST_VERSION).collect()
}
