//! What one instance does for all, now and then: the upkeep of store and bus. What each work is lives in the adapters, but
//! for what only needs the store's port.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use failpoints::Point;
use ports::PortError;
use ports::clock::Clock;
use ports::leases::Leases;
use ports::store::Store;
use ports::upkeep::Upkeep;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::claim::{ASK_EVERY, Claim, Standing};
use crate::heartbeat::Heartbeat;

/// Does all upkeep that is due, while that is this instance's to do.
pub struct Maintenance {
    works: Vec<Arc<dyn Upkeep>>,
    leases: Arc<dyn Leases>,
    /// This instance's name.
    holder: String,
    clock: Arc<dyn Clock>,
    heartbeat: Heartbeat,
}

impl Maintenance {
    /// Maintenance, not yet running.
    pub fn new(
        works: Vec<Arc<dyn Upkeep>>,
        leases: Arc<dyn Leases>,
        holder: String,
        clock: Arc<dyn Clock>,
        heartbeat: Heartbeat,
    ) -> Self {
        Self { works, leases, holder, clock, heartbeat }
    }

    /// Works until `shutdown`.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut claim = Claim::new(Arc::clone(&self.leases), "maintenance", &self.holder);
        let mut done: HashMap<&'static str, Instant> = HashMap::new();
        while !shutdown.is_cancelled() {
            if let Err(error) = self.round(&mut claim, &mut done, &shutdown).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "upkeep waits");
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(ASK_EVERY) => {}
            }
        }
        claim.give_back().await;
    }

    async fn round(
        &self,
        claim: &mut Claim,
        done: &mut HashMap<&'static str, Instant>,
        shutdown: &CancellationToken,
    ) -> Result<(), PortError> {
        failpoints::pass(Point::MaintenanceRound);
        for work in &self.works {
            if shutdown.is_cancelled() || claim.standing().await? == Standing::None {
                break;
            }
            if done.get(work.name()).is_some_and(|at| at.elapsed() < work.every()) {
                continue;
            }
            done.insert(work.name(), Instant::now());
            let result = tokio::select! {
                biased;
                // Every work may be left half done, and is done again.
                () = shutdown.cancelled() => break,
                result = work.run() => result,
                // While it works nobody else takes over.
                error = keep(claim) => Err(error),
            };
            let result = match result {
                Ok(()) => "done",
                Err(error) => {
                    tracing::warn!(work = work.name(), error = &error as &dyn std::error::Error, "upkeep failed");
                    "failed"
                }
            };
            metrics::counter!("lifecycle_upkeep_total", "work" => work.name(), "result" => result).increment(1);
        }
        self.heartbeat.beat(self.clock.now());
        Ok(())
    }
}

/// Keeps the lease for as long as it can be kept; answers why not any more.
async fn keep(claim: &mut Claim) -> PortError {
    loop {
        tokio::time::sleep(ASK_EVERY).await;
        match claim.standing().await {
            Ok(Standing::None) => return PortError::Contended { what: "maintenance" },
            Ok(Standing::New | Standing::Kept) => {}
            Err(error) => return error,
        }
    }
}

/// Forgets the answers to commands that are older than the inbox's retention.
pub struct ForgetCommands {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    retention: Duration,
}

impl ForgetCommands {
    /// Forgets after `retention`.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, retention: Duration) -> Self {
        Self { store, clock, retention }
    }
}

#[async_trait]
impl Upkeep for ForgetCommands {
    fn name(&self) -> &'static str {
        "inbox.forget"
    }

    fn every(&self) -> Duration {
        Duration::from_mins(10)
    }

    async fn run(&self) -> Result<(), PortError> {
        let retention = TimeDelta::from_std(self.retention).unwrap_or(TimeDelta::MAX);
        match self.clock.now().checked_sub_signed(retention) {
            Some(before) => self.store.forget_commands(before).await.map(|_| ()),
            None => Ok(()),
        }
    }
}
