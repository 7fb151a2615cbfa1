//! What outlives a process, however it ended, and what is in the way of opening a file.

mod support;

use std::path::Path;
use std::sync::Arc;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;
use domain::{CampaignKey, Timestamp};
use lifecycle_adapters_embedded::clock::ManualClock;
use lifecycle_adapters_embedded::wakeups::LocalWakeups;
use lifecycle_adapters_embedded::{Embedded, EmbeddedSettings, OpenError};
use port_contracts::fixtures::{
    campaigns, commit, commit_facts, definition, key, notice, now, rebuild_order, seconds, stored,
};
use port_contracts::orders::{FireDue, Order, create, run};
use ports::PortError;
use ports::feed::{Feed, Outbox, Publisher};
use ports::journal::Position;
use ports::query::Queries;
use ports::store::{Changes, Scope, Store, View};
use ports::verification::Verification as _;
use support::{Fresh, assert_sound};

fn clock(seconds: i64) -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_timestamp(seconds, 0).expect("a date")))
}

fn open(path: &Path) -> Result<Arc<Embedded>, OpenError> {
    Embedded::open(path, EmbeddedSettings::default(), clock(1_800_000_100), LocalWakeups::new())
}

fn refusal(path: &Path) -> String {
    match open(path) {
        Ok(_) => panic!("it opened"),
        Err(error) => error.to_string(),
    }
}

/// The files as a killed process leaves them, the log cut after `log_bytes`.
fn copy_of(fresh: &Fresh, folder: &Path, log_bytes: usize) -> std::path::PathBuf {
    let copy = folder.join(format!("copy-{log_bytes}.db"));
    std::fs::copy(fresh.path(), &copy).expect("copying");
    let log = std::fs::read(fresh.path().with_extension("db-wal")).expect("the log");
    std::fs::write(copy.with_extension("db-wal"), &log[..log_bytes.min(log.len())]).expect("copying");
    copy
}

#[tokio::test]
async fn wherever_the_log_is_torn_only_whole_commits_are_left() {
    let mut fresh = Fresh::open();
    // A reader from before all that follows: nothing is moved from the log into the database while it looks.
    fresh.close();
    let mut reader = fresh.intruder();
    reader.batch_execute("BEGIN; SELECT count(*) FROM journal;").expect("a read transaction");
    fresh.open_again();
    let store: Arc<dyn Store> = fresh.embedded();
    let at = now(&store).await;
    for n in 0..20 {
        create(&store, &key(&format!("c-{n}")), definition(at)).await;
    }
    fresh.clock.advance(seconds(2));
    store.transact(Scope::Due { limit: 7 }, Arc::new(FireDue)).await.expect("some start");
    let folder = tempfile::tempdir().expect("a folder");
    let length = std::fs::metadata(fresh.path().with_extension("db-wal")).expect("the log").len();
    let length = usize::try_from(length).expect("a small log");
    let mut met = Vec::new();
    for part in 0..=40 {
        let copy = copy_of(&fresh, folder.path(), length * part / 40);
        let survivor = match open(&copy) {
            Ok(survivor) => survivor,
            Err(error) => panic!("cut at {part}/40: {error}"),
        };
        let (campaigns, last, _) = assert_sound(&survivor).await;
        met.push((campaigns, last));
    }
    assert!(met.is_sorted(), "a longer log never has less: {met:?}");
    assert_eq!(met.last(), Some(&(20, Position(27))), "nothing that was confirmed is lost");
}

#[tokio::test]
async fn after_a_crash_all_that_was_committed_counts_as_published() {
    let fresh = Fresh::open();
    let store: Arc<dyn Store> = fresh.embedded();
    commit_facts(&store, vec![notice(now(&store).await, "one"), notice(now(&store).await, "two")]).await;
    assert_eq!(Feed::top(fresh.embedded().as_ref()), Position::START);
    let folder = tempfile::tempdir().expect("a folder");
    let survivor = open(&copy_of(&fresh, folder.path(), usize::MAX)).expect("it opens");
    assert_eq!(Feed::top(survivor.as_ref()), Position(2));
}

#[tokio::test]
async fn what_the_file_has_before_it_was_told_is_not_yet_to_be_published() {
    let mut fresh = Fresh::open();
    let store: Arc<dyn Store> = fresh.embedded();
    commit_facts(&store, vec![notice(now(&store).await, "one"), notice(now(&store).await, "two")]).await;
    drop(store);
    // Opened again it has no record at hand, and reads the file.
    fresh.close();
    fresh.open_again();
    // What lies in the file between a commit and its telling.
    let third = "CREATE TEMP TABLE third AS SELECT * FROM journal WHERE position = 2; UPDATE third SET position = 3; \
                 INSERT INTO journal SELECT * FROM third;";
    fresh.intruder().batch_execute(third).expect("a row");
    let embedded = fresh.embedded();
    let waiting = Outbox::read(embedded.as_ref(), Position::START, 10).await.expect("it reads");
    assert_eq!(waiting.last().map(|r| r.position), Some(Position(2)));
    embedded.publish(waiting).await.expect("all of it can be told");
}

#[tokio::test]
async fn time_goes_on_from_what_was_committed_though_the_clock_was_set_back() {
    let mut fresh = Fresh::open();
    let store: Arc<dyn Store> = fresh.embedded();
    let at = now(&store).await;
    commit_facts(&store, vec![notice(at, "one")]).await;
    drop(store);
    let path = fresh.path();
    fresh.close();
    let earlier = Embedded::open(&path, EmbeddedSettings::default(), clock(1_000_000_000), LocalWakeups::new())
        .expect("it opens");
    let store: Arc<dyn Store> = earlier;
    assert!(now(&store).await >= at);
}

#[tokio::test]
async fn a_decision_that_panics_is_refused_and_the_next_one_commits() {
    let fresh = Fresh::open();
    let store: Arc<dyn Store> = fresh.embedded();
    let panicking = |_: &View| -> Changes { panic!("a bug in a decision") };
    let refused = commit(&store, campaigns(&[]), panicking).await.expect_err("it panics");
    assert!(matches!(refused, PortError::Refused { ref detail, .. } if detail.contains("a bug")), "{refused:?}");
    create(&store, &key("spring"), definition(now(&store).await)).await;
}

#[tokio::test]
async fn a_refused_request_takes_no_other_of_its_commit_along() {
    let fresh = Fresh::open();
    let store: Arc<dyn Store> = fresh.embedded();
    let at = now(&store).await;
    let spring = create(&store, &key("spring"), definition(at)).await;
    let mut requests = tokio::task::JoinSet::new();
    for n in 0..60 {
        let (store, spring) = (store.clone(), spring.clone());
        requests.spawn(async move {
            if n % 3 == 0 {
                let late = move |_: &View| {
                    let write = ports::store::CampaignWrite { from_version: 9, campaign: spring.clone() };
                    Changes { facts: vec![notice(at, "late")], campaigns: vec![write], ..Changes::default() }
                };
                commit(&store, campaigns(&[]), late).await.expect_err("another version");
            } else {
                let order = Order::create(&key(&format!("c-{n}")), definition(at));
                run(&store, vec![order]).await.expect("it is created");
            }
        });
    }
    while let Some(ended) = requests.join_next().await {
        ended.expect("no request fails otherwise");
    }
    let (campaigns, last, _) = assert_sound(&fresh.embedded()).await;
    assert_eq!((campaigns, last), (41, Position(41)));
}

#[tokio::test]
async fn the_floor_follows_the_retention() {
    let fresh = Fresh::open();
    let store: Arc<dyn Store> = fresh.embedded();
    let (embedded, week) = (fresh.embedded(), seconds(7 * 86_400));
    for n in 0..10 {
        commit_facts(&store, vec![notice(now(&store).await, &n.to_string())]).await;
        fresh.clock.advance(seconds(60));
    }
    let records = Outbox::read(embedded.as_ref(), Position::START, 100).await.expect("reading");
    embedded.publish(records).await.expect("publishing");
    assert_eq!(embedded.floor().await.expect("the floor"), Position::START);
    fresh.clock.advance(week - seconds(600) + seconds(30 + 3 * 60));
    assert_eq!(embedded.floor().await.expect("the floor"), Position(4));
    fresh.clock.advance(week);
    assert_eq!(embedded.floor().await.expect("the floor"), Position(10));
}

#[tokio::test]
async fn a_second_process_is_turned_away_until_the_first_is_gone() {
    let mut fresh = Fresh::open();
    let path = fresh.path();
    assert!(matches!(open(&path), Err(OpenError::InUse { .. })));
    assert!(refusal(&path).contains("in use by another lifecycle process"));
    fresh.close();
    open(&path).expect("it is free again");
}

#[tokio::test]
async fn a_look_at_a_live_file_sees_what_is_committed_and_changes_nothing() {
    let fresh = Fresh::open();
    let store: Arc<dyn Store> = fresh.embedded();
    create(&store, &key("spring"), definition(now(&store).await)).await;
    let look = Embedded::open_offline(&fresh.path(), clock(1_800_000_100)).expect("it opens");
    create(&store, &key("autumn"), definition(now(&store).await)).await;
    let (known, last, _) = assert_sound(&look).await;
    assert_eq!((known, last), (2, Position(2)));
    assert!(matches!(look.rebuild(&rebuild_order()).await, Err(PortError::Refused { .. })));
    let copy: Arc<dyn Store> = look;
    let nothing = |_: &View| Changes::default();
    assert!(matches!(commit(&copy, campaigns(&[]), nothing).await, Err(PortError::Refused { .. })));
}

#[tokio::test]
async fn an_unreadable_campaign_is_named_and_hides_no_other() {
    let fresh = Fresh::open();
    let store: Arc<dyn Store> = fresh.embedded();
    let keys: Vec<CampaignKey> = ["a", "b"].into_iter().map(key).collect();
    for key in &keys {
        create(&store, key, definition(now(&store).await)).await;
    }
    sql_query("UPDATE campaigns SET body = 'x' WHERE id = 'a'").execute(&mut fresh.intruder()).expect("spoiling");
    let embedded = fresh.embedded();
    assert!(matches!(embedded.campaign(&keys[0]).await, Err(PortError::Corrupt { .. })));
    let page = ports::query::PageRequest { after: None, limit: 10 };
    let page = embedded.campaigns(&keys[0].tenant, &ports::query::CampaignFilter::default(), &page).await;
    assert_eq!(page.expect("the others").items.len(), 1);
    assert!(stored(&store, &keys[1]).await.is_some());
}

#[test]
fn an_offline_command_makes_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("lifecycle.db");
    assert!(matches!(Embedded::open_offline(&path, clock(0)), Err(OpenError::Missing { .. })));
    assert!(!path.exists());
}

#[test]
fn what_is_no_database_of_ours_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "these are my notes, and more than a hundred bytes of them. ".repeat(100)).expect("writing");
    assert!(matches!(open(&path), Err(OpenError::NotOurs { .. })));
    assert!(std::fs::read(&path).expect("reading").starts_with(b"these are my notes"));
    let other = folder.path().join("other.db");
    let mut connection = SqliteConnection::establish(other.to_str().expect("UTF-8")).expect("a connection");
    sql_query("CREATE TABLE theirs (a)").execute(&mut connection).expect("a table");
    assert!(refusal(&other).contains("is not a database of lifecycle"));
    assert!(matches!(open(folder.path()), Err(OpenError::Path { .. })));
}

#[test]
fn a_file_of_a_newer_version_is_refused_with_advice() {
    let mut fresh = Fresh::open();
    sql_query("INSERT INTO __diesel_schema_migrations (version) VALUES ('29991231000000')")
        .execute(&mut fresh.intruder())
        .expect("a migration of the future");
    let path = fresh.path();
    fresh.close();
    let message = refusal(&path);
    assert!(message.contains("newer version of lifecycle") && message.contains("29991231000000"), "{message}");
}

#[test]
fn a_damaged_file_is_refused_with_advice() {
    let mut fresh = Fresh::open();
    let path = fresh.path();
    fresh.close();
    let mut bytes = std::fs::read(&path).expect("reading");
    // The first page behind its header: the list of tables.
    bytes[100..4_096].fill(0xAB);
    std::fs::write(&path, bytes).expect("writing");
    let message = refusal(&path);
    assert!(message.contains("is damaged") && message.contains("backup"), "{message}");
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let fresh = Fresh::open();
    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&fresh.path()), 0o600);
    assert_eq!(mode(&fresh.path().with_extension("db-wal")), 0o600);
    assert_eq!(mode(fresh.path().parent().expect("a folder")), 0o700);
}
