//! The relay: publishes what was committed, in order, each position once.

use std::sync::Arc;
use std::time::Duration;

use ports::PortError;
use ports::clock::Clock;
use ports::feed::{MAX_READ, Outbox, Publisher};
use ports::journal::Position;
use ports::wakeups::Wakeups;
use tokio_util::sync::CancellationToken;

use crate::heartbeat::Heartbeat;

/// How long the relay sleeps at most, should a wake-up be lost.
const SAFETY_POLL: Duration = Duration::from_secs(1);

/// Publishes the outbox.
pub struct Relay {
    outbox: Arc<dyn Outbox>,
    publisher: Arc<dyn Publisher>,
    wakeups: Arc<dyn Wakeups>,
    clock: Arc<dyn Clock>,
    heartbeat: Heartbeat,
}

impl Relay {
    /// A relay, not yet running.
    pub fn new(
        outbox: Arc<dyn Outbox>,
        publisher: Arc<dyn Publisher>,
        wakeups: Arc<dyn Wakeups>,
        clock: Arc<dyn Clock>,
        heartbeat: Heartbeat,
    ) -> Self {
        Self { outbox, publisher, wakeups, clock, heartbeat }
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
            self.publisher.publish(records).await?;
            published += count;
            metrics::counter!("lifecycle_published_records_total").increment(count);
        }
    }
}
