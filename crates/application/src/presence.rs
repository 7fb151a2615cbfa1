//! This instance's signs of life, for the others to see.

use std::sync::Arc;
use std::time::Duration;

use failpoints::Point;
use ports::clock::Clock;
use ports::instances::{Instance, Instances};
use tokio_util::sync::CancellationToken;

use crate::heartbeat::Heartbeat;

/// How often it gives one.
const EVERY: Duration = Duration::from_secs(2);

/// Shows that this instance is there.
pub struct Presence {
    instances: Arc<dyn Instances>,
    instance: Instance,
    clock: Arc<dyn Clock>,
    heartbeat: Heartbeat,
}

impl Presence {
    /// Of `instance`, not yet running.
    pub fn new(instances: Arc<dyn Instances>, instance: Instance, clock: Arc<dyn Clock>, heartbeat: Heartbeat) -> Self {
        Self { instances, instance, clock, heartbeat }
    }

    /// Gives signs of life until `shutdown`, and says then that it leaves.
    pub async fn run(&self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            failpoints::pass(Point::PresenceRound);
            match self.instances.beat(&self.instance).await {
                Ok(()) => self.heartbeat.beat(self.clock.now()),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "no sign of life can be given");
                }
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
        if let Err(error) = self.instances.leave(&self.instance.id).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "leaving could not be told");
        }
    }
}
