//! A file that somebody else had a hand in: what is found, what goes on nevertheless, and what `replay` repairs.

mod support;

use std::sync::Arc;

use diesel::connection::SimpleConnection;
use domain::invariants::Violation;
use lifecycle_adapters_embedded::Embedded;
use port_contracts::fixtures::{
    commit, commit_facts, definition, due, key, nothing, notice, now, rebuild_order, seconds, timer_name,
};
use port_contracts::orders::{FireDue, Order, create, run};
use port_contracts::store::StoreHarness;
use ports::PortError;
use ports::journal::Position;
use ports::query::Queries;
use ports::store::{Changes, Store, View};
use ports::verification::Verification;
use support::Fresh;

async fn faults(embedded: &Arc<Embedded>) -> Vec<Violation> {
    let files = embedded.case_files(None, 100).await.expect("reading");
    files.into_iter().flat_map(|file| file.faults).collect()
}

#[tokio::test]
async fn every_column_that_says_something_else_than_the_state_is_a_fault_and_repaired() {
    let fresh = Fresh::open();
    let store: Arc<dyn Store> = fresh.embedded();
    let at = now(&store).await;
    create(&store, &key("spring"), definition(at)).await;
    let embedded = fresh.embedded();
    let spoilers = [
        ("version", "UPDATE campaigns SET version = 7"),
        ("status", "UPDATE campaigns SET status = 'EXPIRED'"),
        ("owner", "UPDATE campaigns SET owner = 'mallory'"),
        ("start_at", "UPDATE campaigns SET start_at = start_at - 1"),
        ("end_at", "UPDATE campaigns SET end_at = end_at + 1"),
        ("fire_at", "UPDATE timers SET fire_at = fire_at + 10000000000000 WHERE kind = 'START_CAMPAIGN'"),
        ("held", "UPDATE timers SET held = 1, fire_at = NULL WHERE kind = 'START_CAMPAIGN'"),
        ("rank", "UPDATE timers SET rank = 9 WHERE kind = 'START_CAMPAIGN'"),
        ("cannot be read", "UPDATE timers SET name = 'bad name!', kind = 'CUSTOM' WHERE kind = 'START_CAMPAIGN'"),
    ];
    for (what, spoiler) in spoilers {
        assert_eq!(faults(&embedded).await, [], "before {what}");
        fresh.intruder().batch_execute(spoiler).expect("spoiling");
        let found = faults(&embedded).await;
        assert!(found.iter().any(|fault| fault.detail.contains(what)), "{what}: {found:?}");
        assert_eq!(embedded.rebuild(&rebuild_order()).await.expect("rebuilding").repaired.len(), 1, "{what}");
    }
    assert_eq!(faults(&embedded).await, []);
}

#[tokio::test]
async fn a_due_timer_that_cannot_be_read_is_put_off_and_the_others_fire() {
    let fresh = Fresh::open();
    let store: Arc<dyn Store> = fresh.embedded();
    let at = now(&store).await;
    create(&store, &key("spring"), definition(at)).await;
    let reminder = Order::new(
        &key("spring"),
        domain::Command::ScheduleReminder { name: timer_name("call"), at: at + seconds(1), payload: None },
    );
    run(&store, vec![reminder]).await.expect("a reminder");
    fresh.intruder().batch_execute("UPDATE timers SET name = 'bad name!' WHERE kind = 'CUSTOM'").expect("spoiling");
    fresh.advance(seconds(30)).await;
    let first = store.transact(due(), Arc::new(FireDue)).await.expect("a commit");
    let second = store.transact(due(), Arc::new(FireDue)).await.expect("a commit");
    assert_eq!(second.due, 0);
    assert!(first.now < second.next_due.expect("put off"), "the loop may sleep until then");
}

#[tokio::test]
async fn while_nothing_can_be_written_the_status_says_so() {
    let fresh = Fresh::open();
    let embedded = fresh.embedded();
    let store: Arc<dyn Store> = embedded.clone();
    let at = now(&store).await;
    assert!(!embedded.status().await.expect("reading").failing);
    let mut intruder = fresh.intruder();
    intruder.batch_execute("BEGIN IMMEDIATE").expect("the lock");
    let changes = move |_: &View| Changes { facts: vec![notice(at, "never")], ..Changes::default() };
    let refused = commit(&store, nothing(), changes).await;
    assert!(matches!(refused, Err(PortError::Contended { .. } | PortError::Unavailable { .. })), "{refused:?}");
    assert!(embedded.status().await.expect("reading").failing);
    intruder.batch_execute("ROLLBACK").expect("no lock");
    commit_facts(&store, vec![notice(at, "again")]).await;
    assert!(!embedded.status().await.expect("reading").failing);
}

#[tokio::test]
async fn a_timer_that_was_put_under_another_campaign_goes_back_to_its_own() {
    let fresh = Fresh::open();
    let store: Arc<dyn Store> = fresh.embedded();
    let at = now(&store).await;
    for id in ["autumn", "spring"] {
        create(&store, &key(id), definition(at)).await;
    }
    let of = |id: &str| format!("(SELECT number FROM campaigns WHERE id = '{id}')");
    // The first of the two takes its timer back before the second is looked at.
    for (from, to, different) in [("spring", "autumn", 2), ("autumn", "spring", 1)] {
        let mislay = format!(
            "UPDATE timers SET kind = 'CUSTOM', name = 'lost', campaign = {} WHERE campaign = {} AND kind = 'START_CAMPAIGN'",
            of(to),
            of(from)
        );
        fresh.intruder().batch_execute(&mislay).expect("spoiling");
        let report = fresh.embedded().rebuild(&rebuild_order()).await.expect("rebuilding");
        assert_eq!(report.repaired.len(), different, "{from} to {to}");
        assert_eq!(fresh.embedded().rebuild(&rebuild_order()).await.expect("rebuilding").repaired, []);
    }
    fresh.advance(seconds(2)).await;
    assert_eq!(store.transact(due(), Arc::new(FireDue)).await.expect("a commit").due, 2, "both start");
}

#[tokio::test]
async fn a_journal_of_which_a_row_was_changed_deleted_or_swapped_is_found_and_a_cut_end_by_an_anchor() {
    let spoilers = [
        ("changed", "UPDATE journal SET data = replace(data, 'contract', 'contracT') WHERE position = 3"),
        ("deleted", "DELETE FROM journal WHERE position = 3"),
        (
            "swapped",
            "UPDATE journal SET position = 7 - position + 1000 WHERE position IN (3, 4); \
                     UPDATE journal SET position = position - 1000 WHERE position > 1000",
        ),
        ("cut off", "DELETE FROM journal WHERE position > 4"),
    ];
    for (what, spoiler) in spoilers {
        let fresh = Fresh::open();
        let store: Arc<dyn Store> = fresh.embedded();
        let at = now(&store).await;
        commit_facts(&store, (0..6).map(|_| notice(at, "x")).collect()).await;
        let anchor = fresh.embedded().check_chain(Position::START, "", 100).await.expect("checking");
        assert_eq!((anchor.faults.len(), anchor.last), (0, Position(6)));
        fresh.intruder().batch_execute(spoiler).expect("spoiling");
        let chain = fresh.embedded().check_chain(Position::START, "", 100).await.expect("checking");
        assert_eq!(chain.faults.is_empty(), what == "cut off", "{what}: {:?}", chain.faults);
        let head = fresh.embedded().check_chain(anchor.last, &anchor.hash, 1).await.expect("checking");
        assert_eq!(head.faults.is_empty(), what != "cut off", "{what}: {:?}", head.faults);
    }
}
