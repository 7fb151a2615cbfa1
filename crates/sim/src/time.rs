//! The clock of one instance, and the ids that it makes.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::Timestamp;
use ports::clock::{Clock, Ids};
use uuid::Uuid;

use crate::world::World;

/// The longest sleep at once: the clock may be set meanwhile.
const NAP: Duration = Duration::from_secs(5);

/// A clock that may be wrong. It follows a clock that is set ahead, and never goes back, as the real one does.
pub struct SimClock {
    world: Arc<World>,
    /// How far it is ahead of the true time, in microseconds.
    ahead: AtomicI64,
}

impl SimClock {
    /// A clock that is so far ahead of the true time, or behind it.
    pub fn new(world: Arc<World>, ahead: TimeDelta) -> Self {
        Self { world, ahead: AtomicI64::new(ahead.num_microseconds().unwrap_or(0)) }
    }

    /// Somebody sets the machine's clock.
    pub(crate) fn set(&self, by: TimeDelta) {
        self.ahead.fetch_add(by.num_microseconds().unwrap_or(0).max(0), Ordering::Relaxed);
    }
}

#[async_trait]
impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        self.world.now() + TimeDelta::microseconds(self.ahead.load(Ordering::Relaxed))
    }

    async fn sleep_until(&self, until: Timestamp) {
        while let Ok(left) = (until - self.now()).to_std() {
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(NAP)).await;
        }
    }
}

/// Ids that sort in the order in which they are made, and tell who made them.
pub struct SimIds {
    clock: Arc<SimClock>,
    who: u64,
    count: AtomicU64,
}

impl SimIds {
    /// A maker of ids; no two have the same `who`.
    pub fn new(clock: Arc<SimClock>, who: u64) -> Self {
        Self { clock, who, count: AtomicU64::new(0) }
    }
}

impl Ids for SimIds {
    fn next(&self) -> Uuid {
        let count = self.count.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let who = self.who.to_be_bytes();
        let mut tail = [0; 10];
        tail[3..7].copy_from_slice(&count[4..]);
        tail[7..].copy_from_slice(&who[5..]);
        let millis = u64::try_from(self.clock.now().timestamp_millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid()
    }
}
