//! The store's clock (S4): the given clock, but never behind what was committed, also in another life of the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use domain::Timestamp;
use ports::clock::Clock;

use crate::rows::micros;

/// A clock that never goes back.
pub(crate) struct StoreClock {
    clock: Arc<dyn Clock>,
    floor: AtomicI64,
}

impl StoreClock {
    pub(crate) fn new(clock: Arc<dyn Clock>, floor: i64) -> Self {
        Self { clock, floor: AtomicI64::new(floor) }
    }

    /// The present instant, in whole microseconds.
    pub(crate) fn now(&self) -> Timestamp {
        self.at_least(micros(self.clock.now()))
    }

    /// Something was committed at `at`.
    pub(crate) fn at_least(&self, at: i64) -> Timestamp {
        let now = self.floor.fetch_max(at, Ordering::AcqRel).max(at);
        Timestamp::from_timestamp_micros(now).unwrap_or(Timestamp::MAX_UTC)
    }
}
