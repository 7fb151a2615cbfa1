//! The read models: what they show once they were made anew, and which hours are counted again.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DurationRound as _, TimeDelta};
use domain::{Command, Status};
use lifecycle_adapters_postgres::Summary;
use port_contracts::fixtures::{definition, due, key, now, seconds};
use port_contracts::orders::{FireDue, Order, create, run};
use ports::store::Store;

use crate::support::Fresh;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_show_counts_timers_firings_and_transitions_as_of_their_refresh() {
    let fresh = Fresh::open().await;
    let postgres = fresh.postgres();
    let store: Arc<dyn Store> = postgres.clone();
    let at = now(&store).await;
    for id in ["a", "b", "c"] {
        create(&store, &key(id), definition(at)).await;
    }
    let start = Command::ChangeStatus { to: Status::Running, reason: None };
    run(&store, vec![Order::new(&key("a"), start)]).await.expect("it starts");
    fresh.move_clock(seconds(2));
    store.transact(due(), Arc::new(FireDue)).await.expect("the others start");
    assert_eq!(postgres.summary().await.expect("summing up"), Summary::default(), "not yet refreshed");

    postgres.refresh_read_models().await.expect("refreshing");
    let summary = postgres.summary().await.expect("summing up");
    assert_eq!(summary.campaigns, [(Status::Running, 3)]);
    let pending: Vec<(&str, u64)> = summary.pending_timers.iter().map(|(kind, n)| (kind.as_str(), *n)).collect();
    assert_eq!(pending, [("CLOSE_CAMPAIGN", 3), ("EXPIRE_CAMPAIGN", 3)]);
    let psql = |sql: &str| fresh.database.psql(sql).trim().to_owned();
    assert_eq!(
        psql("SELECT status, sum(transitions) FROM transitions_by_hour GROUP BY 1 ORDER BY 1"),
        "CREATED|3\nRUNNING|3"
    );
    let fired = "SELECT kind, sum(timers), bool_and(late_p50_seconds >= 0), bool_and(late_p99_seconds <= late_max_seconds) \
                 FROM fired_timers_by_hour GROUP BY 1";
    assert_eq!(psql(fired), "START_CAMPAIGN|2|t|t");
    assert_eq!(psql("SELECT count(*) FROM operator_actions"), "0");
    postgres.refresh_read_models().await.expect("refreshing again");
}

const TRANSITIONS: &str = "SELECT hour, status, transitions FROM transitions_by_hour ORDER BY 1, 2";

/// A store whose clock is well within an hour, so that none begins while a test runs.
async fn ten_past() -> Fresh {
    let fresh = Fresh::open().await;
    let at = now(&(fresh.postgres() as Arc<dyn Store>)).await;
    let hour = at.duration_trunc(TimeDelta::hours(1)).expect("in range");
    fresh.move_clock(hour + TimeDelta::minutes(70) - at);
    fresh
}

/// A campaign of another hour; `hours` go by first.
async fn hours_later(fresh: &Fresh, hours: i64, id: &str) {
    fresh.move_clock(TimeDelta::hours(hours));
    let store: Arc<dyn Store> = fresh.postgres();
    let at = now(&store).await;
    create(&store, &key(id), definition(at)).await;
}

async fn refresh(fresh: &Fresh) -> Vec<u64> {
    fresh.postgres().refresh_read_models().await.expect("refreshing");
    let counts = fresh.database.psql("SELECT transitions FROM transitions_by_hour ORDER BY hour");
    counts.lines().map(|count| count.parse().expect("a number")).collect()
}

/// As if somebody had looked wrongly: what is counted again is put right.
fn miscount(fresh: &Fresh) {
    fresh
        .database
        .psql("UPDATE transitions_by_hour SET transitions = 100; UPDATE fired_timers_by_hour SET timers = 100");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_current_hour_and_the_one_before_are_counted_again() {
    let fresh = ten_past().await;
    for id in ["a", "b", "c"] {
        hours_later(&fresh, 1, id).await;
        refresh(&fresh).await;
    }
    assert_eq!(refresh(&fresh).await, [1, 1, 1]);
    miscount(&fresh);
    assert_eq!(refresh(&fresh).await, [100, 1, 1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_outage_all_hours_since_are_counted_but_those_of_more_than_a_week_ago() {
    let fresh = ten_past().await;
    hours_later(&fresh, 0, "closed").await;
    hours_later(&fresh, 2, "open").await;
    refresh(&fresh).await;
    miscount(&fresh);
    hours_later(&fresh, 5, "away-1").await;
    hours_later(&fresh, 5, "away-2").await;
    hours_later(&fresh, 2, "back").await;
    assert_eq!(refresh(&fresh).await, [100, 1, 1, 1, 1]);
    hours_later(&fresh, 1, "too-long-ago").await;
    hours_later(&fresh, 24 * 8, "a-week-later").await;
    assert_eq!(refresh(&fresh).await, [100, 1, 1, 1, 1, 1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_is_kept_for_thirty_days() {
    let fresh = ten_past().await;
    hours_later(&fresh, 0, "a").await;
    refresh(&fresh).await;
    hours_later(&fresh, 24 * 29, "b").await;
    assert_eq!(refresh(&fresh).await.len(), 2);
    hours_later(&fresh, 24 * 2, "c").await;
    assert_eq!(refresh(&fresh).await.len(), 2, "the first one went");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn refreshes_may_run_side_by_side_and_be_given_up_at_any_point() {
    let fresh = ten_past().await;
    for id in 0..12 {
        hours_later(&fresh, 1, &format!("c-{id}")).await;
    }
    for micros in (0..40).map(|n| n * 2_000) {
        let postgres = fresh.postgres();
        let _given_up = tokio::time::timeout(Duration::from_micros(micros), postgres.refresh_read_models()).await;
    }
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let postgres = fresh.postgres();
        running.spawn(async move { postgres.refresh_read_models().await.expect("refreshing") });
    }
    running.join_all().await;
    let expected = "SELECT date_trunc('hour', at, 'UTC'), 'CREATED', count(*) FROM journal GROUP BY 1 ORDER BY 1";
    assert_eq!(fresh.database.psql(TRANSITIONS), fresh.database.psql(expected));
}
