//! The relay: publishes what was committed, in order, each position once. Of many instances one relays at a time; that a
//! second one does no harm is the publisher's rule F2.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::CampaignKey;
use ports::PortError;
use ports::cache::Cache;
use ports::clock::Clock;
use ports::feed::{MAX_READ, Outbox, Publisher};
use ports::journal::{Position, Record};
use ports::leases::Leases;
use ports::wakeups::Wakeups;
use tokio_util::sync::CancellationToken;

use crate::claim::{ASK_EVERY, Claim, Standing};
use crate::heartbeat::Heartbeat;

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

    /// Publishes until `shutdown`, and then what is still waiting, while the relaying is this instance's.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut sleeper = self.parts.wakeups.subscribe();
        let mut claim = Claim::new(Arc::clone(&self.parts.leases), "relay", &self.holder);
        let (mut told, mut failures) = (None, 0_u32);
        loop {
            let stopping = shutdown.is_cancelled();
            let pause = match self.publish_all(&mut claim, &mut told).await {
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

    /// Publishes everything that waits, if that is ours to do; answers whether it is. `told` is how far the world was when
    /// we last looked.
    async fn publish_all(&self, claim: &mut Claim, told: &mut Option<Position>) -> Result<bool, PortError> {
        let parts = &self.parts;
        if claim.standing().await? == Standing::None {
            *told = None;
            return Ok(false);
        }
        // Asked each time: what the world has may have gone back (a replaced Redis), and then it is told again.
        let mut mark = parts.publisher.top().await?;
        if told.is_none_or(|told| mark < told) {
            let begin = parts.outbox.begin().await?;
            if mark < begin {
                tracing::warn!(%mark, %begin, "the world lacks what is not kept for it any more; it is told from there on");
                parts.publisher.begin_after(begin).await?;
                mark = begin;
            }
        }
        loop {
            *told = Some(mark);
            let records = parts.outbox.read(mark, MAX_READ).await?;
            let Some(last) = records.last() else { return Ok(true) };
            mark = last.position;
            let count = records.len() as u64;
            // First the cache: who hears of a step and then asks must not get the state before it.
            parts.cache.outdated(versions(&records)).await;
            parts.publisher.publish(records).await?;
            metrics::counter!("lifecycle_published_records_total").increment(count);
            if claim.standing().await? == Standing::None {
                return Ok(false);
            }
        }
    }
}

/// The version of every campaign after its last step in `records`.
fn versions(records: &[Arc<Record>]) -> Vec<(CampaignKey, u64)> {
    let steps = records.iter().filter_map(|record| {
        let (campaign, sequence) = (record.fact.entry.campaign()?, record.fact.entry.sequence()?);
        Some((CampaignKey { tenant: record.fact.tenant.clone(), id: campaign.clone() }, sequence))
    });
    // In order, so that the last one stays.
    steps.collect::<HashMap<_, _>>().into_iter().collect()
}
