//! Signs of life of the loops, so that health shows when one stands still.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use domain::Timestamp;

use crate::system::TaskHealth;

/// All loops of this process.
#[derive(Debug, Clone, Default)]
pub struct Heartbeats(Arc<Mutex<Vec<Arc<Pulse>>>>);

#[derive(Debug)]
struct Pulse {
    name: &'static str,
    restarts: AtomicU64,
    /// Microseconds since 1970; 0 before the first round.
    last_round: AtomicI64,
}

/// The sign of life of one loop.
#[derive(Debug, Clone)]
pub struct Heartbeat(Arc<Pulse>);

impl Heartbeats {
    /// A new loop.
    pub fn register(&self, name: &'static str) -> Heartbeat {
        let pulse = Arc::new(Pulse { name, restarts: AtomicU64::new(0), last_round: AtomicI64::new(0) });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&pulse));
        Heartbeat(pulse)
    }

    /// How all loops are doing.
    pub fn health(&self) -> Vec<TaskHealth> {
        let pulses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let health = pulses.iter().map(|pulse| TaskHealth {
            name: pulse.name,
            restarts: pulse.restarts.load(Ordering::Relaxed),
            last_round: Some(pulse.last_round.load(Ordering::Relaxed))
                .filter(|micros| *micros != 0)
                .and_then(Timestamp::from_timestamp_micros),
        });
        health.collect()
    }
}

impl Heartbeat {
    /// A round was finished at `now`.
    pub fn beat(&self, now: Timestamp) {
        self.0.last_round.store(now.timestamp_micros(), Ordering::Relaxed);
    }

    /// The loop had to be started again.
    pub fn restarted(&self) {
        self.0.restarts.fetch_add(1, Ordering::Relaxed);
    }
}
