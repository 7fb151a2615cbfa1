//! The timer loop: sleep, wake-ups, isolation of a bad timer. Time is virtual; the store is a mock.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::{LifecycleTimer, TimerKind, Timestamp};
use lifecycle_application::{Heartbeats, TimerSettings, Timers};
use ports::PortError;
use ports::clock::Clock;
use ports::journal::Entry;
use ports::store::{Changes, DueTimer, MockStore, Receipt, Scope, TimerWrite, View};
use ports::wakeups::{MockWakeups, Sleeper};
use support::{CountingIds, VirtualClock, campaign, epoch, key};
use tokio_util::sync::CancellationToken;

/// A place to sleep that is woken once, with one armed timer.
struct WokenOnce(Option<(Duration, Timestamp)>);

#[async_trait]
impl Sleeper for WokenOnce {
    async fn timer_armed(&mut self) -> Timestamp {
        match self.0 {
            Some((after, due)) => {
                tokio::time::sleep(after).await;
                self.0 = None;
                due
            }
            None => std::future::pending().await,
        }
    }

    async fn committed(&mut self) {
        std::future::pending::<()>().await;
    }

    async fn appended(&mut self) {
        std::future::pending::<()>().await;
    }
}

fn timers(
    store: MockStore,
    wake: Option<(Duration, Timestamp)>,
    settings: TimerSettings,
) -> (Timers, Arc<VirtualClock>) {
    let clock = Arc::new(VirtualClock::new());
    let mut wakeups = MockWakeups::new();
    wakeups.expect_subscribe().returning(move || Box::new(WokenOnce(wake)));
    let timers = Timers::new(
        Arc::new(store),
        clock.clone(),
        Arc::new(CountingIds::default()),
        Arc::new(wakeups),
        settings,
        Heartbeats::default().register("timers"),
    );
    (timers, clock)
}

/// A store that only says when it was asked, and what is due next.
fn recording(next_due: Option<Timestamp>, asked: &Arc<Mutex<Vec<TimeDelta>>>) -> MockStore {
    let asked = Arc::clone(asked);
    let clock = VirtualClock::new();
    let mut store = MockStore::new();
    store.expect_transact().returning(move |_, _| {
        asked.lock().expect("not poisoned").push(clock.now() - epoch());
        let next_due = next_due.filter(|due| *due > clock.now());
        Ok(Receipt { now: clock.now(), first_position: None, due: 0, next_due })
    });
    store
}

async fn run_for(timers: &Timers, time: Duration) {
    let stop = CancellationToken::new();
    tokio::join!(timers.run(stop.clone()), async {
        tokio::time::sleep(time).await;
        stop.cancel();
    });
}

fn patient() -> TimerSettings {
    TimerSettings { safety_poll: Duration::from_hours(1), ..TimerSettings::default() }
}

#[tokio::test(start_paused = true)]
async fn the_loop_sleeps_until_the_next_timer_is_due_and_no_longer() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let store = recording(Some(epoch() + TimeDelta::seconds(90)), &asked);
    let (timers, _) = timers(store, None, patient());
    run_for(&timers, Duration::from_mins(10)).await;
    let asked: Vec<_> = asked.lock().expect("not poisoned").iter().map(TimeDelta::num_seconds).collect();
    assert_eq!(asked, [0, 90]);
}

#[tokio::test(start_paused = true)]
async fn a_nearer_timer_wakes_the_loop() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let store = recording(Some(epoch() + TimeDelta::seconds(90)), &asked);
    let nearer = (Duration::from_secs(10), epoch() + TimeDelta::seconds(20));
    let (timers, _) = timers(store, Some(nearer), patient());
    run_for(&timers, Duration::from_mins(1)).await;
    let asked: Vec<_> = asked.lock().expect("not poisoned").iter().map(TimeDelta::num_seconds).collect();
    assert_eq!(asked, [0, 20]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_asked_again_with_growing_pauses() {
    let asked = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&asked);
    let mut store = MockStore::new();
    store.expect_transact().returning(move |_, _| {
        *counted.lock().expect("not poisoned") += 1;
        Err(PortError::Unavailable { what: "the store", source: "down".into() })
    });
    let (timers, _) = timers(store, None, patient());
    run_for(&timers, Duration::from_mins(1)).await;
    let asked = *asked.lock().expect("not poisoned");
    assert!((10..40).contains(&asked), "{asked} tries in a minute");
}

/// A view with the START timers of these campaigns due.
fn due_view(ids: &[&str], limit: usize, attempts: u32) -> View {
    let mut view = View { now: epoch() + TimeDelta::minutes(1), ..View::default() };
    for id in ids.iter().take(limit) {
        let campaign = campaign(id);
        let start = TimerKind::Lifecycle(LifecycleTimer::Start);
        let timer = campaign.timers.iter().find(|t| t.kind == start).expect("armed").clone();
        view.due.push(DueTimer { key: key(id), timer, attempts });
        view.campaigns.insert(key(id), campaign);
    }
    view
}

fn committed(ids: &'static [&'static str], bad: &'static str, attempts: u32) -> (MockStore, Arc<Mutex<Vec<Changes>>>) {
    let commits = Arc::new(Mutex::new(Vec::<Changes>::new()));
    let seen = Arc::clone(&commits);
    let mut store = MockStore::new();
    store.expect_transact().returning(move |scope, decision| {
        let Scope::Due { limit } = scope else { panic!("timers ask for what is due") };
        let mut seen = seen.lock().expect("not poisoned");
        let left: Vec<_> = ids
            .iter()
            .copied()
            .filter(|id| {
                let key = key(id);
                !seen.iter().any(|changes| {
                    changes.campaigns.iter().any(|c| c.campaign.key == key)
                        || (*id == bad && !changes.timers.is_empty() && changes.campaigns.is_empty())
                })
            })
            .collect();
        let view = due_view(&left, limit, attempts);
        let changes = decision.decide(&view);
        if changes.campaigns.iter().any(|c| c.campaign.key == key(bad)) {
            return Err(PortError::Refused { what: "the store", detail: "constraint".to_owned() });
        }
        let receipt = Receipt { now: view.now, first_position: None, due: view.due.len(), next_due: None };
        seen.push(changes);
        Ok(receipt)
    });
    (store, commits)
}

#[tokio::test(start_paused = true)]
async fn a_timer_that_the_store_refuses_waits_and_the_others_fire() {
    let (store, commits) = committed(&["a", "bad", "b", "c"], "bad", 0);
    let (timers, _) = timers(store, None, patient());
    run_for(&timers, Duration::from_secs(10)).await;
    let commits = commits.lock().expect("not poisoned");
    let started: usize = commits.iter().map(|c| c.campaigns.len()).sum();
    assert_eq!(started, 3, "the others started");
    let retried: Vec<_> =
        commits.iter().flat_map(|c| &c.timers).filter(|t| matches!(t, TimerWrite::Retry { attempts: 1, .. })).collect();
    assert_eq!(retried.len(), 1, "the bad one is tried again later");
}

#[tokio::test(start_paused = true)]
async fn a_timer_that_fails_too_often_is_given_up_with_a_dead_letter() {
    let (store, commits) = committed(&["bad"], "bad", TimerSettings::default().attempts - 1);
    let (timers, _) = timers(store, None, patient());
    run_for(&timers, Duration::from_secs(10)).await;
    let commits = commits.lock().expect("not poisoned");
    let given_up = commits.iter().find(|c| !c.timers.is_empty()).expect("a commit");
    assert!(matches!(given_up.timers[..], [TimerWrite::Fail { .. }]));
    assert_eq!(given_up.letters.len(), 1);
    assert!(matches!(given_up.facts[0].entry, Entry::TimerFailed { .. }), "and the world is told");
}
