//! The ports of storage and messaging that a wiring fills. Which adapters fill them lives in `embedded` and `servers`.

use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use ports::cache::Cache;
use ports::clock::{Clock, Ids};
use ports::dead_letters::DeadLetters;
use ports::feed::{Feed, Outbox, Publisher};
use ports::inbound::Inbound;
use ports::instances::Instances;
use ports::leases::Leases;
use ports::limits::RateLimiter;
use ports::query::Queries;
use ports::store::Store;
use ports::upkeep::Upkeep;
use ports::verification::{Streams, Verification};
use ports::wakeups::Wakeups;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::failure::Failure;
use crate::wiring::{embedded, servers};

/// What every part of the process has in common.
#[derive(Clone)]
pub(super) struct Process {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn Ids>,
    /// This process's name.
    pub(super) instance: String,
}

/// Everything that stores and carries.
pub(super) struct Backend {
    pub(super) store: Arc<dyn Store>,
    pub(super) queries: Arc<dyn Queries>,
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) publisher: Arc<dyn Publisher>,
    pub(super) feed: Arc<dyn Feed>,
    pub(super) inbound: Arc<dyn Inbound>,
    pub(super) dead_letters: Arc<dyn DeadLetters>,
    pub(super) verification: Arc<dyn Verification>,
    /// What the world was told, where it is kept apart from the log.
    pub(super) streams: Option<Arc<dyn Streams>>,
    pub(super) instances: Arc<dyn Instances>,
    pub(super) leases: Arc<dyn Leases>,
    pub(super) wakeups: Arc<dyn Wakeups>,
    pub(super) cache: Arc<dyn Cache>,
    pub(super) limiter: Arc<dyn RateLimiter>,
    /// What one instance does for all, now and then.
    pub(super) upkeep: Vec<Arc<dyn Upkeep>>,
    /// Loops of the adapters themselves.
    pub(super) background: Vec<Background>,
    /// What was opened, for people: never with a password.
    pub(super) place: String,
    /// Whether it was made just now.
    pub(super) fresh: bool,
}

/// A loop of an adapter, which runs until it is told to stop.
pub(crate) struct Background {
    /// What it is called in logs.
    pub(crate) name: &'static str,
    /// Whether it cannot be started again: when it ends early, the process ends.
    pub(crate) vital: bool,
    /// Starts it.
    pub(crate) run: Box<dyn Fn(CancellationToken) -> BoxFuture<'static, ()> + Send>,
}

impl Background {
    /// A loop that `run` starts.
    pub(super) fn new<F>(name: &'static str, run: impl Fn(CancellationToken) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self { name, vital: false, run: Box::new(move |stop| Box::pin(run(stop))) }
    }

    /// The same, but the process ends when it ends early.
    pub(super) fn vital(self) -> Self {
        Self { vital: true, ..self }
    }
}

impl Backend {
    /// Opens the servers where their addresses are set, else the embedded store.
    pub(super) async fn open(config: &Config, process: &Process) -> Result<Self, Failure> {
        if config.on_servers() { servers::open(config, process).await } else { embedded::open(config, process) }
    }
}
