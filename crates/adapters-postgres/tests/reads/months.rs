//! The months of the journal: made ahead, and taken away when everything in them is over.

use std::sync::Arc;

use chrono::TimeDelta;
use domain::{Command, Status, Timestamp};
use lifecycle_adapters_postgres::{OldMonths, Postgres};
use port_contracts::fixtures::{assert_refused, commit_facts, definition, key, notice, now, rebuild_order};
use port_contracts::orders::{Order, create, run};
use ports::feed::{MAX_READ, Outbox};
use ports::journal::Position;
use ports::query::Queries;
use ports::store::Store;
use ports::verification::Verification;

use crate::support::Fresh;

const ALL: Position = Position(u64::MAX);

/// A campaign that is over and one that runs, and two months later one more; answers what is over by then.
async fn two_months(fresh: &Fresh) -> (String, Timestamp) {
    let store: Arc<dyn Store> = fresh.postgres();
    let at = now(&store).await;
    for id in ["over", "runs"] {
        create(&store, &key(id), definition(at)).await;
    }
    cancel(&store, "over").await;
    let month = fresh.database.psql("SELECT 'journal_' || to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY_MM')");
    fresh.move_clock(TimeDelta::days(70));
    assert!(fresh.postgres().make_months_ahead().await.expect("making months") >= 2);
    assert_eq!(fresh.postgres().make_months_ahead().await.expect("making months"), 0);
    let later = now(&store).await;
    create(&store, &key("new"), definition(later)).await;
    (month.trim().to_owned(), later - TimeDelta::days(35))
}

async fn cancel(store: &Arc<dyn Store>, id: &str) {
    let cancel = Command::ChangeStatus { to: Status::Cancelled, reason: None };
    run(store, vec![Order::new(&key(id), cancel)]).await.expect("it is cancelled");
}

async fn sound(postgres: &Arc<Postgres>) -> (Vec<String>, Position) {
    let files = postgres.case_files(None, 10).await.expect("reading");
    for file in &files {
        let (stored, log) = (file.stored.as_ref().expect("readable"), file.log.as_ref().expect("readable"));
        assert_eq!(domain::invariants::check_campaign(stored, log, &file.pending, &file.failed), [], "{}", file.key);
    }
    let (mut last, mut hash) = (Position::START, String::new());
    loop {
        let page = postgres.check_chain(last, &hash, 2).await.expect("checking");
        assert_eq!(page.faults, []);
        (last, hash) = (page.last, page.hash);
        if page.done {
            return (files.iter().map(|file| file.key.id.as_str().to_owned()).collect(), last);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_facts_go_into_the_month_that_was_made_for_them() {
    let fresh = Fresh::open().await;
    two_months(&fresh).await;
    assert_eq!(fresh.database.psql("SELECT count(*) FROM journal_default").trim(), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_stays_while_a_campaign_in_it_lives_or_it_was_not_published() {
    let fresh = Fresh::open().await;
    let (_, before) = two_months(&fresh).await;
    let postgres = fresh.postgres();
    let gone = postgres.take_months_away(before, ALL, OldMonths::Drop).await.expect("looking");
    assert!(gone.is_empty(), "{gone:?}: a campaign still runs");
    cancel(&(postgres.clone() as Arc<dyn Store>), "runs").await;
    let gone = postgres.take_months_away(before, Position(2), OldMonths::Drop).await.expect("looking");
    assert!(gone.is_empty(), "{gone:?}: not all of it was published");
    let now = now(&(postgres.clone() as Arc<dyn Store>)).await;
    assert_refused(postgres.take_months_away(now - TimeDelta::days(3), ALL, OldMonths::Drop).await);
    assert_eq!(sound(&postgres).await, (vec!["new".to_owned(), "over".to_owned(), "runs".to_owned()], Position(5)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_that_is_over_goes_and_what_is_left_can_be_proven() {
    for then in [OldMonths::Detach, OldMonths::Drop] {
        let fresh = Fresh::open().await;
        let (month, before) = two_months(&fresh).await;
        let postgres = fresh.postgres();
        let store: Arc<dyn Store> = postgres.clone();
        cancel(&store, "runs").await;
        let at = now(&store).await;
        commit_facts(&store, vec![notice(at, "x")]).await;
        let anchor = postgres.check_chain(Position::START, "", 3).await.expect("checking");

        let gone = postgres.take_months_away(before, ALL, then).await.expect("taking away");
        assert_eq!(gone.first(), Some(&month));
        let begin = Outbox::begin(postgres.as_ref()).await.expect("its beginning");
        assert!(begin >= Position(3), "{begin}");
        let rest = Outbox::read(postgres.as_ref(), Position::START, MAX_READ).await.expect("reading");
        assert_eq!(port_contracts::fixtures::positions(&rest), [4, 5, 6]);
        // Nothing can be said any more of campaigns whose log went, wholly or in part.
        assert_eq!(sound(&postgres).await, (vec!["new".to_owned()], Position(6)));
        let anchored = postgres.check_chain(anchor.last, &anchor.hash, 10).await.expect("checking");
        assert_eq!((anchored.faults, anchored.checked), (Vec::new(), 3));
        let wrong = postgres.check_chain(anchor.last, &"ab".repeat(32), 10).await.expect("checking");
        assert!(!wrong.faults.is_empty(), "the anchor is another one");
        let report = postgres.rebuild(&rebuild_order()).await.expect("rebuilding");
        assert_eq!((report.campaigns, report.repaired.len(), report.unreadable.len()), (1, 0, 0));
        let over = postgres.campaign(&key("over")).await.expect("reading").expect("its state is kept");
        assert_eq!(over.status(), Status::Cancelled);
        let kept = fresh.database.psql(&format!("SELECT to_regclass('{month}') IS NOT NULL"));
        assert_eq!(kept.trim() == "t", then == OldMonths::Detach);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_months_without_service_opening_makes_the_months_before_anything_is_written() {
    let mut fresh = Fresh::open().await;
    commit_facts(&(fresh.postgres() as Arc<dyn Store>), vec![notice(Timestamp::UNIX_EPOCH, "x")]).await;
    fresh.close().await;
    fresh.move_clock(TimeDelta::days(150));
    let mut opening = tokio::task::JoinSet::new();
    let fresh = Arc::new(fresh);
    for _ in 0..4 {
        let fresh = Arc::clone(&fresh);
        opening.spawn(async move { fresh.another().await });
    }
    let opened = opening.join_all().await;
    let store: Arc<dyn Store> = opened[0].clone();
    let at = now(&store).await;
    create(&store, &key("new"), definition(at)).await;
    let month = format!("journal_{}", at.format("%Y_%m"));
    assert_eq!(fresh.database.psql(&format!("SELECT campaign FROM {month}")), "new");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn facts_of_a_month_that_nobody_made_move_into_it_when_it_is_made() {
    let fresh = Fresh::open().await;
    let postgres = fresh.postgres();
    let store: Arc<dyn Store> = postgres.clone();
    fresh.move_clock(TimeDelta::days(150));
    let at = now(&store).await;
    create(&store, &key("late"), definition(at)).await;
    let elsewhere = at + TimeDelta::days(400);
    commit_facts(&store, vec![notice(elsewhere, "another month")]).await;
    assert_eq!(fresh.database.psql("SELECT count(*) FROM journal_default"), "2");

    assert_eq!(postgres.make_months_ahead().await.expect("making months"), 3);
    let month = format!("journal_{}", at.format("%Y_%m"));
    assert_eq!(fresh.database.psql(&format!("SELECT campaign FROM {month}")), "late");
    assert_eq!(fresh.database.psql("SELECT count(*) FROM journal_default"), "1");
    assert_eq!(sound(&postgres).await, (vec!["late".to_owned()], Position(2)));
    // Such a month is as good as any other one.
    let missing = "SELECT count(*) FROM pg_indexes WHERE tablename = (SELECT min(relname::text) FROM pg_inherits \
        JOIN pg_class ON oid = inhrelid WHERE inhparent = 'journal'::regclass AND relname ~ '^journal_2')";
    let indexes = format!("SELECT (SELECT count(*) FROM pg_indexes WHERE tablename = '{month}') = ({missing})");
    assert_eq!(fresh.database.psql(&indexes), "t");
    let summed = format!("SELECT reloptions FROM pg_class WHERE relname = '{month}_at_idx'");
    assert_eq!(fresh.database.psql(&summed), "{autosummarize=on}");
}
