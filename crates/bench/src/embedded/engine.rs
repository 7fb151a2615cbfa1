//! The application on the embedded adapters, as the binary wires it but without its surfaces, and with a store that
//! tells when each due timer was committed.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use adapters_embedded::cache::LocalCache;
use adapters_embedded::clock::{SystemClock, SystemIds};
use adapters_embedded::sole::Sole;
use adapters_embedded::wakeups::LocalWakeups;
use adapters_embedded::{Embedded, EmbeddedSettings};
use anyhow::{Result, bail};
use application::{
    CommandRequest, CommandSettings, Commands, Heartbeats, Policies, Relay, RelayParts, TimerSettings, Timers,
};
use async_trait::async_trait;
use domain::Timestamp;
use ports::PortError;
use ports::clock::Clock;
use ports::store::{Changes, Decision, Outcome, Receipt, Scope, Store, View};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// When a timer was due, and when its step was committed.
#[derive(Clone, Copy)]
pub(crate) struct Firing {
    pub(crate) due: Timestamp,
    pub(crate) committed: Timestamp,
}

/// The running application.
pub(crate) struct Engine {
    pub(crate) clock: Arc<dyn Clock>,
    commands: Arc<Commands>,
    firings: Arc<Mutex<Vec<Firing>>>,
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl Engine {
    /// Starts it on the file at `path`.
    pub(crate) fn start(path: &Path) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let ids = Arc::new(SystemIds);
        let wakeups = LocalWakeups::new();
        let embedded = Embedded::open(path, EmbeddedSettings::default(), Arc::clone(&clock), wakeups.clone())?;
        let cache = Arc::new(LocalCache::new(4_096, 16 << 20));
        let firings = Arc::new(Mutex::new(Vec::new()));
        let store: Arc<dyn Store> =
            Arc::new(TimedStore { inner: embedded.clone(), clock: Arc::clone(&clock), firings: Arc::clone(&firings) });
        let beats = Heartbeats::default();
        let policies = Arc::new(Policies::default());
        let (commands, worker) = Commands::new(
            Arc::clone(&store),
            embedded.clone(),
            cache.clone(),
            ids.clone(),
            policies,
            CommandSettings::default(),
        );
        let settings = TimerSettings::default();
        let timers = Timers::new(store, Arc::clone(&clock), ids, wakeups.clone(), settings, beats.register("timers"));
        let parts = RelayParts {
            outbox: embedded.clone(),
            publisher: embedded,
            cache,
            wakeups,
            leases: Sole::new(Arc::clone(&clock)),
            clock: Arc::clone(&clock),
        };
        let relay = Relay::new(parts, "bench".to_owned(), beats.register("relay"));
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(worker.run(stop.clone()));
        let token = stop.clone();
        tasks.spawn(async move { timers.run(token).await });
        let token = stop.clone();
        tasks.spawn(async move { relay.run(token).await });
        Ok(Self { clock, commands: Arc::new(commands), firings, tasks, stop })
    }

    /// Handles `requests`; every one must be applied.
    pub(crate) async fn apply(&self, requests: Vec<CommandRequest>) -> Result<()> {
        for answer in self.commands.submit_all(requests).await {
            if !matches!(answer?.outcome, Outcome::Applied { .. }) {
                bail!("a command was not applied");
            }
        }
        Ok(())
    }

    /// Waits until `count` timers fired; gives all of them.
    pub(crate) async fn wait_for(&self, count: usize, patience: Duration) -> Result<Vec<Firing>> {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let firings = self.firings.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if firings.len() >= count {
                return Ok(firings);
            }
            if tokio::time::Instant::now() > deadline {
                bail!("only {} of {count} timers fired in time", firings.len());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Stops it.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

struct TimedStore {
    inner: Arc<Embedded>,
    clock: Arc<dyn Clock>,
    firings: Arc<Mutex<Vec<Firing>>>,
}

struct TimedDecision {
    inner: Arc<dyn Decision>,
    due: Mutex<Vec<Timestamp>>,
}

impl Decision for TimedDecision {
    fn decide(&self, view: &View) -> Changes {
        *self.due.lock().unwrap_or_else(PoisonError::into_inner) = view.due.iter().map(|d| d.timer.due).collect();
        self.inner.decide(view)
    }
}

#[async_trait]
impl Store for TimedStore {
    async fn transact(&self, scope: Scope, decision: Arc<dyn Decision>) -> Result<Receipt, PortError> {
        let timed = Arc::new(TimedDecision { inner: decision, due: Mutex::default() });
        let receipt = self.inner.transact(scope, timed.clone()).await?;
        let committed = self.clock.now();
        let due = std::mem::take(&mut *timed.due.lock().unwrap_or_else(PoisonError::into_inner));
        let mut firings = self.firings.lock().unwrap_or_else(PoisonError::into_inner);
        firings.extend(due.into_iter().map(|due| Firing { due, committed }));
        Ok(receipt)
    }

    async fn forget_commands(&self, before: Timestamp) -> Result<u64, PortError> {
        self.inner.forget_commands(before).await
    }
}
