//! The way of every call from an instance to the world: it takes time, waits while the instance is frozen, and never comes
//! back once the instance is dead.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::trace::digest;
use crate::world::World;

/// The gate of one instance.
pub(crate) struct Gate {
    world: Arc<World>,
    pub(crate) who: u64,
    door: Mutex<Door>,
    /// The instance has died at a call.
    pub(crate) died: Notify,
}

#[derive(Debug, Default)]
struct Door {
    frozen_until: Option<Instant>,
    /// So many calls are left to it.
    calls_left: Option<u64>,
    dead: bool,
}

impl Gate {
    pub(crate) fn new(world: Arc<World>, who: u64) -> Self {
        Self { world, who, door: Mutex::default(), died: Notify::new() }
    }

    fn door<T>(&self, look: impl FnOnce(&mut Door) -> T) -> T {
        look(&mut self.door.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn freeze(&self, lasting: Duration) {
        self.door(|door| door.frozen_until = Some(Instant::now() + lasting));
    }

    pub(crate) fn thaw(&self) {
        self.door(|door| door.frozen_until = None);
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.door(|door| door.frozen_until.is_some_and(|until| until > Instant::now()))
    }

    /// It dies at the `nth` call from now on.
    pub(crate) fn die_at_call(&self, nth: u64) {
        self.door(|door| door.calls_left = Some(nth));
    }

    pub(crate) fn spare(&self) {
        self.door(|door| door.calls_left = None);
    }

    /// Nothing goes in or out any more.
    pub(crate) fn close(&self) {
        self.door(|door| door.dead = true);
    }

    /// A call begins.
    pub(crate) async fn enter(&self, call: &'static str) {
        self.world.tell("call", [self.who, digest(call)], || format!("{call} by {}", self.who));
        self.pass().await;
        let most = self.world.plan.latency_ms;
        if most > 0 {
            let took = self.world.between(0, most);
            if took > 0 {
                tokio::time::sleep(Duration::from_millis(took)).await;
            }
        }
    }

    /// A call ends: its answer may never arrive.
    pub(crate) async fn leave(&self) {
        self.pass().await;
    }

    /// Time passes within a call.
    pub(crate) async fn dawdle(&self, low_ms: u64, high_ms: u64) {
        let took = self.world.between(low_ms, high_ms);
        tokio::time::sleep(Duration::from_millis(took)).await;
    }

    async fn pass(&self) {
        let dies = self.door(|door| {
            if let Some(left) = &mut door.calls_left {
                *left = left.saturating_sub(1);
                door.dead |= *left == 0;
            }
            door.dead
        });
        if dies {
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
        while let Some(until) = self.door(|door| door.frozen_until).filter(|until| *until > Instant::now()) {
            // In portions: it may be thawed early.
            tokio::time::sleep_until(until.min(Instant::now() + Duration::from_secs(1))).await;
        }
    }
}
