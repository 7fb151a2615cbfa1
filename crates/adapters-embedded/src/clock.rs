//! Time and identity: the only place of the service that asks the machine for the time or for randomness.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::Timestamp;
use ports::clock::{Clock, Ids};
use tokio::sync::watch;
use uuid::Uuid;

/// The runtime's timers tick in milliseconds and are late by up to two of them. The last stretch before a due instant
/// is slept by a thread of the blocking pool, which the kernel wakes within a tenth of a millisecond.
const LAST_STRETCH: Duration = Duration::from_millis(3);

/// The longest sleep without a look at the clock: after the machine was suspended, or its clock was set ahead, a long
/// sleep would end too late.
const LONGEST_NAP: Duration = Duration::from_secs(1);

/// The wall clock, but steady: it follows the machine's wall clock ahead, never back.
///
/// Time runs on the monotonic clock; `offset` is what must be added to get the wall clock's reading, and only grows.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
    offset: AtomicI64,
}

impl SystemClock {
    /// A clock that begins at the present reading of the wall clock.
    pub fn new() -> Self {
        let offset = AtomicI64::new(wall_micros());
        Self { started: Instant::now(), offset }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // The wall clock is read first: a pause between the two readings then makes the offset too small, which does
        // no harm. The other way round it would be too large for ever.
        let wall = wall_micros();
        let elapsed = saturating_micros(self.started.elapsed());
        let seen = wall - elapsed;
        let offset = self.offset.fetch_max(seen, Ordering::AcqRel).max(seen);
        Timestamp::from_timestamp_micros(elapsed.saturating_add(offset)).unwrap_or(Timestamp::MAX_UTC)
    }

    async fn sleep_until(&self, until: Timestamp) {
        while let Ok(left) = (until - self.now()).to_std() {
            if left.is_zero() {
                return;
            }
            if left > LAST_STRETCH {
                tokio::time::sleep(left.saturating_sub(LAST_STRETCH).min(LONGEST_NAP)).await;
            } else if tokio::task::spawn_blocking(move || std::thread::sleep(left)).await.is_err() {
                // The runtime is shutting down; whoever waits here is about to be dropped.
                tokio::time::sleep(left).await;
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock adapter: everybody else asks the `Clock` port")]
fn wall_micros() -> i64 {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since_epoch.map_or(0, saturating_micros)
}

fn saturating_micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// Ids of this process: `UUIDv7` that sort in the order they were made, also within one millisecond.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemIds;

impl Ids for SystemIds {
    #[expect(clippy::disallowed_methods, reason = "this is the clock adapter: everybody else asks the `Ids` port")]
    fn next(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// A clock that stands still until somebody moves it; for tests and rehearsals. Sleepers wake when it reaches them.
#[derive(Debug)]
pub struct ManualClock {
    now: watch::Sender<Timestamp>,
}

impl ManualClock {
    /// A clock that shows `start`, in whole microseconds.
    pub fn new(start: Timestamp) -> Self {
        Self { now: watch::Sender::new(whole_micros(start)) }
    }

    /// Moves it ahead by `step`; a negative step does nothing.
    pub fn advance(&self, step: TimeDelta) {
        self.now.send_modify(|now| *now = (*now).max(whole_micros(*now + step)));
    }

    /// Moves it to `to`, unless that lies behind.
    pub fn advance_to(&self, to: Timestamp) {
        self.now.send_modify(|now| *now = (*now).max(whole_micros(to)));
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    async fn sleep_until(&self, until: Timestamp) {
        // The sender lives as long as `self`, so this cannot end early.
        let _ = self.now.subscribe().wait_for(|now| *now >= until).await;
    }
}

fn whole_micros(at: Timestamp) -> Timestamp {
    Timestamp::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_system_clock_wakes_within_a_millisecond_of_the_due_instant() {
        let clock = SystemClock::new();
        let mut lateness = Vec::new();
        for millis in 1..=40 {
            let until = clock.now() + TimeDelta::microseconds(millis * 730);
            clock.sleep_until(until).await;
            lateness.push(clock.now() - until);
        }
        lateness.sort_unstable();
        assert!(lateness[0] >= TimeDelta::zero(), "woke early by {}", -lateness[0]);
        let median = lateness[lateness.len() / 2];
        assert!(median < TimeDelta::milliseconds(1), "the median lateness is {median}");
    }

    #[test]
    fn a_wall_clock_that_was_set_back_does_not_take_time_back() {
        let clock = SystemClock::new();
        // As if the wall clock had been an hour ahead when last read.
        clock.offset.fetch_add(3_600_000_000, Ordering::AcqRel);
        let ahead = clock.now();
        assert!(clock.now() >= ahead);
    }

    #[test]
    fn a_manual_clock_never_goes_back() {
        let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
        clock.advance(TimeDelta::seconds(5));
        clock.advance(TimeDelta::seconds(-3));
        clock.advance_to(Timestamp::UNIX_EPOCH);
        assert_eq!(clock.now(), Timestamp::UNIX_EPOCH + TimeDelta::seconds(5));
    }
}
