//! Instances, leases and single reads, beyond the port suites: what is forgotten, what locks nothing, what a dead session
//! does.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use domain::Timestamp;
use port_contracts::fixtures::{definition, key, now};
use port_contracts::orders::create;
use ports::instances::{Instance, Instances};
use ports::leases::Leases;
use ports::query::Queries;
use ports::store::Store;

use crate::support::Fresh;

const LASTING: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_that_left_or_are_silent_for_a_week_are_forgotten() {
    let fresh = Fresh::open().await;
    let postgres = fresh.postgres();
    let beat = async |id: &str| {
        let instance = Instance { id: id.to_owned(), version: "1".to_owned(), started_at: Timestamp::UNIX_EPOCH };
        postgres.beat(&instance).await.expect("a sign of life");
    };
    for id in ["left", "silent", "alive"] {
        beat(id).await;
    }
    postgres.leave("left").await.expect("it leaves");
    fresh.move_clock(TimeDelta::days(6));
    beat("alive").await;
    assert_eq!(postgres.forget_instances().await.expect("forgetting"), 0);
    fresh.move_clock(TimeDelta::days(2));
    assert_eq!(postgres.forget_instances().await.expect("forgetting"), 2);
    assert_eq!(fresh.database.psql("SELECT id FROM instances"), "alive");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_asks_for_a_lease_that_somebody_has_locks_and_writes_nothing() {
    let fresh = Arc::new(Fresh::open().await);
    let postgres = fresh.postgres();
    let term = postgres.hold("relay", "one", LASTING).await.expect("an answer");
    assert!(term.is_some());
    let row = "SELECT xmin, xmax, ctid FROM leases";
    let before = fresh.database.psql(row);
    assert_eq!(postgres.hold("relay", "two", LASTING).await.expect("an answer"), None);
    assert_eq!(fresh.database.psql(row), before, "the row was locked");

    // Its holder is at work on the row, and nobody waits for that.
    let work = tokio::task::spawn_blocking({
        let fresh = Arc::clone(&fresh);
        move || fresh.database.psql("BEGIN; SELECT FROM leases FOR UPDATE; SELECT pg_sleep(1.5); COMMIT")
    });
    let held = "SELECT count(*) FROM pg_stat_activity \
        WHERE datname = current_database() AND state = 'active' AND query LIKE 'SELECT pg_sleep%'";
    while !work.is_finished() && fresh.database.psql(held) != "1" {}
    assert_eq!(postgres.hold("relay", "two", LASTING).await.expect("an answer"), None);
    assert!(!work.is_finished());
    work.await.expect("it ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_read_survives_the_end_of_its_session() {
    let fresh = Fresh::open().await;
    let postgres = fresh.postgres();
    let store: Arc<dyn Store> = postgres.clone();
    let at = now(&store).await;
    create(&store, &key("a"), definition(at)).await;
    for _ in 0..20 {
        assert!(postgres.campaign(&key("a")).await.expect("reading").is_some());
        let ended = "SELECT count(pg_terminate_backend(pid)) > 0 FROM pg_stat_activity \
            WHERE datname = current_database() AND application_name LIKE 'lifecycle/%'";
        assert_eq!(fresh.database.psql(ended), "t");
    }
}
