//! The suites of time (C1, C2) and of ids (C3).

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use ports::clock::{Clock, Ids};

/// A clock.
#[async_trait]
pub trait ClockHarness: Send + Sync {
    /// The clock.
    fn clock(&self) -> Arc<dyn Clock>;

    /// Lets `by` or a little more pass on it: moves it, or waits. Cases ask for some hundredths of a second.
    async fn let_pass(&self, by: TimeDelta);
}

/// A maker of ids.
pub trait IdsHarness: Send + Sync {
    /// The maker.
    fn ids(&self) -> Arc<dyn Ids>;
}

/// One test per case of a clock; `$make` gives a fresh [`ClockHarness`].
#[macro_export]
macro_rules! clock_contract {
    ($make:expr) => {
        $crate::contract_tests! {
            $make;
            clock {
                now_is_in_whole_microseconds_and_passes,
                now_never_goes_back_for_anybody,
                nobody_wakes_before_the_instant,
                the_past_is_not_waited_for,
                each_sleeper_wakes_at_its_own_instant,
                a_sleep_is_safe_to_drop,
            }
        }
    };
}

/// One test per case of a maker of ids; `$make` gives a fresh [`IdsHarness`].
#[macro_export]
macro_rules! ids_contract {
    ($make:expr) => {
        $crate::contract_tests! {
            $make;
            clock {
                ids_sort_in_the_order_they_were_made,
                ids_are_unique_among_threads,
            }
        }
    };
}

const PATIENCE: Duration = Duration::from_secs(10);

fn millis(count: i64) -> TimeDelta {
    TimeDelta::milliseconds(count)
}

/// Whether `sleep` is not over yet.
async fn is_asleep(sleep: &mut (impl Future<Output = ()> + Unpin)) -> bool {
    tokio::time::timeout(Duration::ZERO, sleep).await.is_err()
}

/// C1: now is in whole microseconds, and passes.
pub async fn now_is_in_whole_microseconds_and_passes(h: &mut impl ClockHarness) {
    for _ in 0..20 {
        let before = h.clock().now();
        h.let_pass(TimeDelta::microseconds(1_700)).await;
        let after = h.clock().now();
        assert!(after - before >= TimeDelta::microseconds(1_700), "{before} to {after}");
        assert_eq!(after.timestamp_subsec_nanos() % 1_000, 0, "{after}");
    }
}

/// C1: now never goes back, whoever asks after whom.
pub async fn now_never_goes_back_for_anybody(h: &mut impl ClockHarness) {
    let latest = AtomicI64::new(i64::MIN);
    let clock = h.clock();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    let known = latest.load(Ordering::SeqCst);
                    let now = clock.now().timestamp_micros();
                    assert!(now >= known, "{now} comes before {known}");
                    latest.fetch_max(now, Ordering::SeqCst);
                }
            });
        }
    });
}

/// C2: nobody wakes before the instant has come.
pub async fn nobody_wakes_before_the_instant(h: &mut impl ClockHarness) {
    for micros in [1, 400, 1_000, 1_900, 3_300, 7_777, 25_001] {
        let clock = h.clock();
        let until = clock.now() + TimeDelta::microseconds(micros);
        let sleeper = tokio::spawn(async move {
            clock.sleep_until(until).await;
            clock.now()
        });
        h.let_pass(TimeDelta::microseconds(micros)).await;
        let woke = tokio::time::timeout(PATIENCE, sleeper).await.expect("it wakes").expect("no panic");
        assert!(woke >= until, "woke {} early", until - woke);
    }
}

/// C2: an instant that has come, now included, is not waited for.
pub async fn the_past_is_not_waited_for(h: &mut impl ClockHarness) {
    let clock = h.clock();
    for ago in [TimeDelta::zero(), millis(1), TimeDelta::days(900)] {
        let sleep = clock.sleep_until(clock.now() - ago);
        tokio::time::timeout(PATIENCE, sleep).await.expect("at once");
    }
}

/// C2: sleepers wake at their own instants, however many there are and whenever they came.
pub async fn each_sleeper_wakes_at_its_own_instant(h: &mut impl ClockHarness) {
    let clock = h.clock();
    let start = clock.now();
    let mut sleepers = tokio::task::JoinSet::new();
    for n in [9, 1, 5, 3, 7] {
        let clock = clock.clone();
        sleepers.spawn(async move {
            clock.sleep_until(start + millis(n * 10)).await;
            (n, clock.now() - start)
        });
    }
    for _ in 0..5 {
        h.let_pass(millis(20)).await;
    }
    while let Some(ended) = tokio::time::timeout(PATIENCE, sleepers.join_next()).await.expect("all wake") {
        let (n, slept) = ended.expect("no panic");
        assert!(slept >= millis(n * 10), "{n}: after {slept}");
    }
}

/// C2: a sleep that was given up leaves nothing behind, and the same instant can be slept for again.
pub async fn a_sleep_is_safe_to_drop(h: &mut impl ClockHarness) {
    let clock = h.clock();
    let until = clock.now() + millis(50);
    let mut given_up = clock.sleep_until(until);
    assert!(is_asleep(&mut given_up).await);
    drop(given_up);
    h.let_pass(millis(50)).await;
    tokio::time::timeout(PATIENCE, clock.sleep_until(until)).await.expect("it is over");
    let mut far = clock.sleep_until(until + TimeDelta::days(300_000));
    assert!(is_asleep(&mut far).await, "the far future is far");
}

/// C3: ids of one process sort in the order they were made, and are of version 7.
pub async fn ids_sort_in_the_order_they_were_made(h: &mut impl IdsHarness) {
    let ids: Vec<_> = (0..50_000).map(|_| h.ids().next()).collect();
    assert!(ids.windows(2).all(|two| two[0] < two[1]));
    assert!(ids.iter().all(|id| id.get_version_num() == 7));
}

/// C3: no two ids are the same, whoever made them.
pub async fn ids_are_unique_among_threads(h: &mut impl IdsHarness) {
    let ids = h.ids();
    let made = std::thread::scope(|scope| {
        let makers: Vec<_> =
            (0..4).map(|_| scope.spawn(|| (0..10_000).map(|_| ids.next()).collect::<Vec<_>>())).collect();
        makers.into_iter().flat_map(|maker| maker.join().expect("no panic")).collect::<Vec<_>>()
    });
    assert_eq!(made.iter().collect::<HashSet<_>>().len(), 40_000);
}
