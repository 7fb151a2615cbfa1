//! How the service itself is doing: readiness, the report of `/system`, and what its thresholds advise.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use domain::Timestamp;
use ports::PortError;
use ports::clock::Clock;
use ports::dead_letters::DeadLetters;
use ports::feed::Publisher;
use ports::inbound::Inbound;
use ports::instances::{Instance, Instances, SeenInstance};
use ports::journal::{Actor, Position};
use ports::query::{Queries, StoreStatus};

use crate::advice::{Advice, Measures, advise};
use crate::commands::Commands;
use crate::heartbeat::Heartbeats;
use crate::patrol::PatrolReport;
use crate::recovery::{Recovery, RecoveryReport};

/// An instance that gave no sign of life for so long is not shown any more.
const SILENT: Duration = Duration::from_secs(10);

/// One of the loops that keep the service going.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskHealth {
    /// Which.
    pub name: &'static str,
    /// How often it had to be started again.
    pub restarts: u64,
    /// When it last finished a round, if it did.
    pub last_round: Option<Timestamp>,
}

/// How the service is doing.
#[derive(Debug, Clone)]
pub struct SystemReport {
    /// Who answers.
    pub instance: Instance,
    /// Who else works on the store, longest running first.
    pub others: Vec<SeenInstance>,
    /// The store.
    pub store: StoreStatus,
    /// The last published position.
    pub published: Position,
    /// When the oldest inbound entry came that is not dealt with.
    pub oldest_unread: Option<Timestamp>,
    /// Open dead letters, over all tenants.
    pub dead_letters: u64,
    /// The loops.
    pub tasks: Vec<TaskHealth>,
    /// The thresholds.
    pub advice: Vec<Advice>,
    /// The last recovery.
    pub recovery: Option<RecoveryReport>,
    /// What goes over the stored data has found; none while another instance does.
    pub patrol: Option<PatrolReport>,
}

/// Whether traffic should come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// It should.
    pub ready: bool,
    /// Every check by name, with what is wrong where something is.
    pub checks: Vec<(&'static str, Result<(), String>)>,
}

/// From where on the service does not call itself ready.
#[derive(Debug, Clone, Copy)]
pub struct HealthSettings {
    /// A timer overdue for longer.
    pub max_overdue: Duration,
    /// An inbound event not dealt with for longer.
    pub max_unread: Duration,
}

impl Default for HealthSettings {
    fn default() -> Self {
        Self { max_overdue: Duration::from_secs(10), max_unread: Duration::from_secs(90) }
    }
}

/// What the process uses, in percent of what it may: CPU, memory. None where it cannot be told.
pub type UsageProbe = Arc<dyn Fn() -> (Option<f64>, Option<f64>) + Send + Sync>;

/// What the patrol of this instance found; none while another instance patrols.
pub type PatrolProbe = Arc<dyn Fn() -> Option<PatrolReport> + Send + Sync>;

/// What the report is made from.
#[derive(Clone)]
pub struct SystemParts {
    /// This process.
    pub instance: Instance,
    /// Who else is there.
    pub instances: Arc<dyn Instances>,
    /// The store's state.
    pub queries: Arc<dyn Queries>,
    /// What is published.
    pub publisher: Arc<dyn Publisher>,
    /// What is unread.
    pub inbound: Arc<dyn Inbound>,
    /// What waits for a person.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// The command queue.
    pub commands: Arc<Commands>,
    /// The loops.
    pub heartbeats: Heartbeats,
    /// Catches up.
    pub recovery: Arc<Recovery>,
    /// What the process uses.
    pub usage: UsageProbe,
    /// What the patrol found.
    pub patrol: PatrolProbe,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Limits of readiness.
    pub settings: HealthSettings,
}

/// Knows how the service is doing.
pub struct System {
    parts: SystemParts,
    stopping: AtomicBool,
}

impl System {
    /// Reports on `parts`.
    pub fn new(parts: SystemParts) -> Self {
        Self { parts, stopping: AtomicBool::new(false) }
    }

    /// From now on the service is not ready: it is stopping.
    pub fn stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// How the service is doing.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub async fn report(&self) -> Result<SystemReport, PortError> {
        let parts = &self.parts;
        let store = parts.queries.status().await?;
        let oldest_unread = parts.inbound.oldest_unread().await?;
        let dead_letters = parts.dead_letters.open_count().await?;
        let mut others = parts.instances.alive(SILENT).await?;
        others.retain(|seen| seen.instance.id != parts.instance.id);
        let (cpu_percent, memory_percent) = (parts.usage)();
        let measures = Measures {
            cpu_percent,
            memory_percent,
            timer_lag: age(store.oldest_overdue, store.now),
            unread_lag: age(oldest_unread, parts.clock.now()),
            queue_percent: parts.commands.fill() * 100.0,
            dead_letters,
        };
        Ok(SystemReport {
            instance: parts.instance.clone(),
            others,
            published: parts.publisher.top().await?,
            oldest_unread,
            dead_letters,
            tasks: parts.heartbeats.health(),
            advice: advise(&measures),
            recovery: parts.recovery.last(),
            patrol: (parts.patrol)(),
            store,
        })
    }

    /// Whether traffic should come: the store answers, nothing is overdue or unread for too long, nobody is stopping it.
    pub async fn readiness(&self) -> Readiness {
        let stopping =
            if self.stopping.load(Ordering::Relaxed) { Err("the service is stopping".to_owned()) } else { Ok(()) };
        let mut checks = vec![("running", stopping)];
        let told = async {
            // Asked first: what is told meanwhile is in the log as well.
            let published = self.parts.publisher.top().await;
            (published, self.parts.queries.status().await)
        };
        let ((published, status), unread) = tokio::join!(told, self.parts.inbound.oldest_unread());
        match status {
            Ok(status) => {
                checks.push(("streams", ahead(published, status.head)));
                let writing = if status.failing { Err("the last commit failed".to_owned()) } else { Ok(()) };
                checks.push(("store", writing));
                let overdue = age(status.oldest_overdue, status.now);
                checks.push(("timers", within("a timer is overdue", overdue, self.parts.settings.max_overdue)));
            }
            Err(error) => checks.push(("store", Err(error.to_string()))),
        }
        match unread {
            Ok(oldest) => {
                let unread = age(oldest, self.parts.clock.now());
                checks.push(("events", within("an event is unread", unread, self.parts.settings.max_unread)));
            }
            Err(error) => checks.push(("events", Err(error.to_string()))),
        }
        Readiness { ready: checks.iter().all(|(_, result)| result.is_ok()), checks }
    }

    /// Catches up now and tells what it found.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub async fn recover(&self, by: &Actor) -> Result<RecoveryReport, PortError> {
        self.parts.recovery.run(by).await
    }
}

fn age(since: Option<Timestamp>, now: Timestamp) -> Duration {
    since.map_or(Duration::ZERO, |since| (now - since).max(TimeDelta::zero()).to_std().unwrap_or_default())
}

/// A world that was told more than the log holds has another log's events, and is told nothing new under their positions.
fn ahead(published: Result<Position, PortError>, head: Position) -> Result<(), String> {
    match published {
        Ok(published) if published <= head => Ok(()),
        Ok(published) => Err(format!("the streams end at {published}, beyond the log, which ends at {head}")),
        Err(error) => Err(error.to_string()),
    }
}

fn within(what: &str, actual: Duration, limit: Duration) -> Result<(), String> {
    if actual <= limit {
        Ok(())
    } else {
        Err(format!("{what} for {} s, more than {} s", actual.as_secs(), limit.as_secs()))
    }
}
