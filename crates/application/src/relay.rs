//! The relay: publishes what was committed, in order, each position once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::CampaignKey;
use ports::PortError;
use ports::cache::Cache;
use ports::clock::Clock;
use ports::feed::{MAX_READ, Outbox, Publisher};
use ports::journal::{Position, Record};
use ports::wakeups::Wakeups;
use tokio_util::sync::CancellationToken;

use crate::heartbeat::Heartbeat;

/// How long the relay sleeps at most, should a wake-up be lost.
const SAFETY_POLL: Duration = Duration::from_secs(1);

/// Publishes the outbox.
pub struct Relay {
    outbox: Arc<dyn Outbox>,
    publisher: Arc<dyn Publisher>,
    cache: Arc<dyn Cache>,
    wakeups: Arc<dyn Wakeups>,
    clock: Arc<dyn Clock>,
    heartbeat: Heartbeat,
}

impl Relay {
    /// A relay, not yet running.
    pub fn new(
        outbox: Arc<dyn Outbox>,
        publisher: Arc<dyn Publisher>,
        cache: Arc<dyn Cache>,
        wakeups: Arc<dyn Wakeups>,
        clock: Arc<dyn Clock>,
        heartbeat: Heartbeat,
    ) -> Self {
        Self { outbox, publisher, cache, wakeups, clock, heartbeat }
    }

    /// Publishes until `shutdown`, and then what is still waiting.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut sleeper = self.wakeups.subscribe();
        let mut failures = 0_u32;
        loop {
            let stopping = shutdown.is_cancelled();
            match self.publish_all().await {
                Ok(_) => {
                    failures = 0;
                    self.heartbeat.beat(self.clock.now());
                    if stopping {
                        return;
                    }
                    tokio::select! {
                        biased;
                        () = shutdown.cancelled() => {}
                        () = sleeper.committed() => {}
                        () = tokio::time::sleep(SAFETY_POLL) => {}
                    }
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    let wait = Duration::from_millis(50 << failures.min(6));
                    tracing::error!(error = &error as &dyn std::error::Error, ?wait, "events cannot be published");
                    if stopping {
                        return; // they stay in the outbox
                    }
                    tokio::select! {
                        biased;
                        () = shutdown.cancelled() => {}
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
        }
    }

    /// Publishes everything that waits; answers how many.
    async fn publish_all(&self) -> Result<u64, PortError> {
        // Asked each time: what the world has may have gone back (a replaced Redis), and then it is told again.
        let mut mark: Position = self.publisher.top().await?;
        let mut published = 0;
        loop {
            let records = self.outbox.read(mark, MAX_READ).await?;
            let Some(last) = records.last() else { return Ok(published) };
            mark = last.position;
            let count = records.len() as u64;
            // First the cache: who hears of a step and then asks must not get the state before it.
            self.cache.outdated(versions(&records)).await;
            self.publisher.publish(records).await?;
            published += count;
            metrics::counter!("lifecycle_published_records_total").increment(count);
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
