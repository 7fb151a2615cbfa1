//! Upkeep: done by whoever holds the lease, each work when it is due, and one that fails does not stop the others.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lifecycle_application::{Heartbeats, Maintenance};
use ports::PortError;
use ports::leases::MockLeases;
use ports::upkeep::MockUpkeep;
use support::VirtualClock;
use tokio_util::sync::CancellationToken;

fn work(name: &'static str, every: Duration, runs: &Arc<AtomicU32>, fails: bool) -> Arc<MockUpkeep> {
    let mut work = MockUpkeep::new();
    work.expect_name().return_const(name);
    work.expect_every().return_const(every);
    let runs = Arc::clone(runs);
    work.expect_run().returning(move || {
        runs.fetch_add(1, Ordering::Relaxed);
        if fails { Err(PortError::Contended { what: "the store" }) } else { Ok(()) }
    });
    Arc::new(work)
}

async fn run_for(time: Duration, leases: MockLeases, works: Vec<Arc<MockUpkeep>>) {
    let works = works.into_iter().map(|work| work as Arc<dyn ports::upkeep::Upkeep>).collect();
    let heartbeat = Heartbeats::default().register("maintenance");
    let maintenance =
        Maintenance::new(works, Arc::new(leases), "one".to_owned(), Arc::new(VirtualClock::new()), heartbeat);
    let stop = CancellationToken::new();
    tokio::join!(maintenance.run(stop.clone()), async {
        tokio::time::sleep(time).await;
        stop.cancel();
    });
}

#[tokio::test(start_paused = true)]
async fn each_work_is_done_when_it_is_due_also_beside_one_that_fails() {
    let (often, seldom) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let mut leases = MockLeases::new();
    leases.expect_hold().returning(|_, _, _| Ok(Some(1)));
    leases.expect_release().times(1).returning(|_, _| Ok(()));
    let works = vec![
        work("test.often", Duration::from_secs(10), &often, true),
        work("test.seldom", Duration::from_mins(10), &seldom, false),
    ];
    run_for(Duration::from_secs(65), leases, works).await;
    assert_eq!(seldom.load(Ordering::Relaxed), 1);
    assert!((6..=7).contains(&often.load(Ordering::Relaxed)), "{often:?}");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_hold_the_lease_does_nothing() {
    let runs = Arc::new(AtomicU32::new(0));
    let mut leases = MockLeases::new();
    leases.expect_hold().returning(|_, _, _| Ok(None));
    run_for(Duration::from_mins(1), leases, vec![work("test.one", Duration::ZERO, &runs, false)]).await;
    assert_eq!(runs.load(Ordering::Relaxed), 0);
}

/// A work that takes for ever.
struct Endless;

#[async_trait::async_trait]
impl ports::upkeep::Upkeep for Endless {
    fn name(&self) -> &'static str {
        "test.endless"
    }

    fn every(&self) -> Duration {
        Duration::ZERO
    }

    async fn run(&self) -> Result<(), PortError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_work_keeps_the_lease_and_does_not_hold_up_a_stop() {
    let asked = Arc::new(AtomicU32::new(0));
    let mut leases = MockLeases::new();
    let count = Arc::clone(&asked);
    leases.expect_hold().returning(move |_, _, _| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(Some(1))
    });
    leases.expect_release().times(1).returning(|_, _| Ok(()));
    let heartbeat = Heartbeats::default().register("maintenance");
    let clock = Arc::new(VirtualClock::new());
    let maintenance = Maintenance::new(vec![Arc::new(Endless)], Arc::new(leases), "one".to_owned(), clock, heartbeat);
    let stop = CancellationToken::new();
    let ended = tokio::time::timeout(Duration::from_secs(61), async {
        tokio::join!(maintenance.run(stop.clone()), async {
            tokio::time::sleep(Duration::from_mins(1)).await;
            stop.cancel();
        });
    });
    ended.await.expect("it stops");
    assert!(asked.load(Ordering::Relaxed) > 100, "the lease was let go: asked {asked:?} times in a minute");
}
