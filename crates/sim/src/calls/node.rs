//! One instance's connections to the world.

use std::collections::HashSet;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;
use ports::PortError;
use ports::journal::Position;
use tokio::sync::Notify;

use super::cache::Trust;
use super::wakeups::SimWakeups;
use crate::fault::Fault;
use crate::gate::Gate;
use crate::time::{SimClock, SimIds};
use crate::world::World;

pub(super) const STORE: &str = "the store";
pub(super) const BUS: &str = "the bus";

/// All ports of one instance, but for the feed.
pub struct Node {
    /// Where it lives.
    pub world: Arc<World>,
    pub(crate) gate: Gate,
    /// Its name, unlike all others that ever were.
    pub name: String,
    /// Its clock.
    pub clock: Arc<SimClock>,
    /// Its maker of ids.
    pub ids: Arc<SimIds>,
    /// Its hints.
    pub wakeups: Arc<SimWakeups>,
    /// The last instant that the store gave to it, in microseconds.
    pub(super) last_now: AtomicI64,
    pub(super) handed: Mutex<Handed>,
    pub(super) trust: Mutex<Trust>,
    pub(crate) marks: Marks,
}

/// What this process was handed and has not acknowledged.
#[derive(Default)]
pub(super) struct Handed {
    pub(super) ids: HashSet<String>,
    /// Whether it knows all that is pending with it.
    pub(super) is_settled: bool,
}

/// How far the world was told, as far as this process knows.
#[derive(Default)]
pub(crate) struct Marks {
    position: Mutex<Position>,
    pub(crate) moved: Notify,
}

impl Marks {
    pub(crate) fn position(&self) -> Position {
        *lock(&self.position)
    }

    /// Somebody got so far.
    pub(crate) fn is_at_least(&self, position: Position) {
        let mut known = lock(&self.position);
        if position > *known {
            *known = position;
            self.moved.notify_one();
        }
    }

    /// It is exactly there.
    pub(crate) fn is(&self, position: Position) {
        *lock(&self.position) = position;
        self.moved.notify_one();
    }
}

impl Node {
    /// The `who`th instance that ever was, with a clock that is so far ahead.
    pub fn new(world: &Arc<World>, who: u64, ahead: TimeDelta) -> Arc<Self> {
        let clock = Arc::new(SimClock::new(Arc::clone(world), ahead));
        Arc::new(Self {
            gate: Gate::new(Arc::clone(world), who),
            name: format!("instance-{who}"),
            ids: Arc::new(SimIds::new(Arc::clone(&clock), who)),
            wakeups: SimWakeups::new(world, who),
            last_now: AtomicI64::new(i64::MIN),
            handed: Mutex::default(),
            trust: Mutex::default(),
            marks: Marks::default(),
            clock,
            world: Arc::clone(world),
        })
    }

    pub(super) fn strikes(&self, fault: Fault) -> bool {
        self.world.strikes(fault, self.gate.who)
    }

    /// A call to the store begins.
    pub(super) async fn call_store(&self, call: &'static str, fails: Fault) -> Result<(), PortError> {
        self.gate.enter(call).await;
        if self.world.is_store_away() || self.strikes(fails) {
            return Err(unavailable(STORE));
        }
        Ok(())
    }

    /// A call to the bus begins.
    pub(super) async fn call_bus(&self, call: &'static str) -> Result<(), PortError> {
        self.gate.enter(call).await;
        if self.strikes(Fault::BusSlow) {
            self.gate.dawdle(10, 900).await;
        }
        if self.world.is_bus_away() || self.strikes(Fault::BusDown) {
            return Err(unavailable(BUS));
        }
        Ok(())
    }

    /// A call to the bus that wrote something ends.
    pub(super) async fn bus_wrote<T>(&self, value: T) -> Result<T, PortError> {
        self.gate.leave().await;
        if self.strikes(Fault::BusUnheard) {
            return Err(unknown(BUS));
        }
        Ok(value)
    }
}

pub(super) fn unavailable(what: &'static str) -> PortError {
    PortError::Unavailable { what, source: "the simulator says so".into() }
}

pub(super) fn unknown(what: &'static str) -> PortError {
    PortError::Unknown { what, source: "the answer is lost".into() }
}

/// What these locks protect is whole at every instant.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
