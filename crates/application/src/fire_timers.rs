//! The timer loop: sleeps to the nearest due instant, is woken by a nearer one, and fires what is due in batches.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use domain::Timestamp;
use failpoints::Point;
use ports::PortError;
use ports::clock::{Clock, Ids};
use ports::store::{MAX_BATCH, Receipt, Scope, Store};
use ports::wakeups::{Sleeper, Wakeups};
use tokio_util::sync::CancellationToken;

use crate::heartbeat::Heartbeat;
use crate::timer_batch::{Fired, TimerBatch};

/// How timers are fired.
#[derive(Debug, Clone, Copy)]
pub struct TimerSettings {
    /// How many go into one commit, at most [`MAX_BATCH`].
    pub batch: usize,
    /// How often a failing timer is tried before it is given up.
    pub attempts: u32,
    /// How long it waits after the first failure; twice as long after each further one.
    pub back_off: Duration,
    /// The longest wait between two tries.
    pub max_back_off: Duration,
    /// How long the loop sleeps at most, should a wake-up be lost.
    pub safety_poll: Duration,
}

impl Default for TimerSettings {
    fn default() -> Self {
        Self {
            batch: 500,
            attempts: 8,
            back_off: Duration::from_secs(1),
            max_back_off: Duration::from_mins(1),
            safety_poll: Duration::from_millis(500),
        }
    }
}

impl TimerSettings {
    /// How long a timer waits after `attempts` failures.
    pub(crate) fn back_off(&self, attempts: u32) -> TimeDelta {
        let factor = 1_u32 << attempts.saturating_sub(1).min(16);
        let wait = self.back_off.saturating_mul(factor).min(self.max_back_off);
        TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX)
    }
}

/// How soon to look again for due timers that another instance is about to fire.
const LOOK_AGAIN: TimeDelta = TimeDelta::milliseconds(5);

/// Fires due timers.
pub struct Timers {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    wakeups: Arc<dyn Wakeups>,
    settings: TimerSettings,
    heartbeat: Heartbeat,
}

impl Timers {
    /// A timer loop, not yet running.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        wakeups: Arc<dyn Wakeups>,
        settings: TimerSettings,
        heartbeat: Heartbeat,
    ) -> Self {
        let settings = TimerSettings { batch: settings.batch.clamp(1, MAX_BATCH), ..settings };
        Self { store, clock, ids, wakeups, settings, heartbeat }
    }

    /// Fires timers until `shutdown`.
    pub async fn run(&self, shutdown: CancellationToken) {
        // Before the first look, so that no timer armed in between is missed.
        let mut sleeper = self.wakeups.subscribe();
        let mut failures = 0_u32;
        while !shutdown.is_cancelled() {
            match self.look(&shutdown).await {
                Ok(round) => {
                    failures = 0;
                    if !round.more {
                        self.sleep(sleeper.as_mut(), &round, &shutdown).await;
                    }
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    let wait = Duration::from_millis(50 << failures.min(6));
                    tracing::error!(error = &error as &dyn std::error::Error, ?wait, "timers cannot be fired");
                    tokio::select! {
                        biased;
                        () = shutdown.cancelled() => {}
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
        }
    }

    /// Fires a batch, and when more is due the rest in two commits beside each other: while one waits for the disk, the other
    /// one decides and writes. The store gives neither of them what the other one holds, and they wait for each other only at
    /// the very end, where they get their places in the log.
    async fn look(&self, shutdown: &CancellationToken) -> Result<Round, PortError> {
        failpoints::pass(Point::TimersRound);
        let first = self.fire_due().await?;
        self.heartbeat.beat(self.clock.now());
        if !first.more {
            return Ok(first);
        }
        let lane = async || -> Result<(), PortError> {
            while !shutdown.is_cancelled() && self.fire_due().await?.handled > 0 {
                self.heartbeat.beat(self.clock.now());
            }
            Ok(())
        };
        let (one, other) = tokio::join!(lane(), lane());
        one.and(other).map(|()| first)
    }

    async fn sleep(&self, sleeper: &mut dyn Sleeper, round: &Round, shutdown: &CancellationToken) {
        let now = self.clock.now();
        let net = now + TimeDelta::from_std(self.settings.safety_poll).unwrap_or(TimeDelta::MAX);
        // Due timers that the store did not bring are in the hands of another instance.
        let earliest = if round.handled == 0 { now + LOOK_AGAIN } else { now };
        let mut until = round.next_due.map_or(net, |due| round.here(due).max(earliest).min(net));
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = self.clock.sleep_until(until) => return,
                armed = sleeper.timer_armed() => until = until.min(round.here(armed)),
            }
        }
    }

    /// Fires one batch of due timers. A batch that the store refuses is made smaller until the bad timer stands alone;
    /// that one is tried again later or given up, and the others go on.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub(crate) async fn fire_due(&self) -> Result<Round, PortError> {
        let mut limit = self.settings.batch;
        loop {
            let before = self.clock.now();
            let receipt = match self.commit(limit, None).await {
                Err(error) if !error.may_retry() && limit > 1 => {
                    limit /= 2;
                    continue;
                }
                Err(error) if !error.may_retry() => self.commit(1, Some(error.to_string())).await?,
                result => result?,
            };
            return Ok(Round {
                handled: receipt.due,
                more: receipt.due >= limit,
                next_due: receipt.next_due,
                ahead: ahead(before, receipt.now, self.clock.now()),
            });
        }
    }

    async fn commit(&self, limit: usize, condemned: Option<String>) -> Result<Receipt, PortError> {
        let batch = Arc::new(TimerBatch::new(Arc::clone(&self.ids), self.settings, condemned));
        let receipt = self.store.transact(Scope::Due { limit }, batch.clone()).await?;
        let fired = batch.fired();
        if !fired.is_empty() {
            failpoints::pass(Point::TimersFired);
        }
        measure(&fired);
        Ok(receipt)
    }
}

/// One look at the timer table.
pub(crate) struct Round {
    /// Due timers that were dealt with.
    pub(crate) handled: usize,
    /// Whether more may be due already.
    pub(crate) more: bool,
    /// When the next one is, by the store's clock.
    pub(crate) next_due: Option<Timestamp>,
    /// How far this instance's clock is ahead of the store's.
    ahead: TimeDelta,
}

impl Round {
    /// The instant `at` of the store's clock, by this instance's clock.
    fn here(&self, at: Timestamp) -> Timestamp {
        at.checked_add_signed(self.ahead).unwrap_or(at)
    }
}

/// How far our clock is ahead of a store whose clock showed `store` at some instant between `before` and `after` of ours.
/// As far as that leaves it open, the clocks agree; the store's decides what is due in any case.
fn ahead(before: Timestamp, store: Timestamp, after: Timestamp) -> TimeDelta {
    if store < before {
        before - store
    } else if store > after {
        after - store
    } else {
        TimeDelta::zero()
    }
}

fn measure(fired: &[Fired]) {
    for fired in fired {
        let kind = fired.kind.as_str();
        metrics::counter!("lifecycle_timers_total", "kind" => kind, "result" => fired.result).increment(1);
        if fired.result == "fired" {
            let late = fired.late.to_std().unwrap_or_default().as_secs_f64();
            metrics::histogram!("lifecycle_timer_lateness_seconds", "kind" => kind).record(late);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_agrees_with_the_store_as_far_as_one_can_tell_is_not_corrected() {
        let at = |micros: i64| Timestamp::from_timestamp_micros(1_800_000_000_000_000 + micros).expect("in range");
        assert_eq!(ahead(at(10), at(15), at(20)), TimeDelta::zero());
        assert_eq!(ahead(at(600_000_010), at(15), at(600_000_020)), TimeDelta::microseconds(599_999_995));
        assert_eq!(ahead(at(10), at(600_000_000), at(20)), TimeDelta::microseconds(-599_999_980));
    }
}
