//! The read models: what they show once they were made anew.

use std::sync::Arc;

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
