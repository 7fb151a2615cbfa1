//! Commits that something comes between: a killed session, a caller that leaves, a lock that is held, a twin.

mod support;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use domain::{CampaignKey, Timer, TimerId, TimerKind};
use lifecycle_adapters_postgres::PostgresSettings;
use port_contracts::fixtures::{
    campaigns, command, command_key, commit, commit_facts, deciding, definition, fact, key, look, new_id, nothing,
    notice, now, seconds, stored, timer_name,
};
use port_contracts::orders::{Order, Orders, create, run};
use ports::PortError;
use ports::journal::{Entry, Position};
use ports::query::Queries as _;
use ports::store::{Changes, Decision, Scope, Store, TimerWrite, View};
use ports::wakeups::Hint;
use support::Fresh;

/// A decision that tells when it runs, and waits for a sign.
fn waiting(
    changes: impl Fn(&View) -> Changes + Send + Sync + 'static,
) -> (Arc<dyn Decision>, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (runs, running) = mpsc::channel();
    let (sign, signed) = mpsc::channel();
    let signed = Mutex::new(signed);
    let decision = deciding(move |view| {
        let _ = runs.send(());
        let _ = signed.lock().map(|signed| signed.recv());
        changes(view)
    });
    (decision, running, sign)
}

fn noting(subject: &'static str) -> impl Fn(&View) -> Changes + Send + Sync + 'static {
    move |view| Changes { facts: vec![notice(view.now, subject)], ..Changes::default() }
}

async fn until_running(running: mpsc::Receiver<()>) {
    let waited = tokio::task::spawn_blocking(move || running.recv_timeout(Duration::from_secs(10)));
    waited.await.expect("a thread").expect("the decision runs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_session_that_is_killed_changes_nothing_and_the_next_call_works() {
    let fresh = Fresh::open().await;
    let store: Arc<dyn Store> = fresh.postgres();
    let (decision, running, sign) = waiting(noting("lost"));
    let call = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.transact(nothing(), decision).await }
    });
    until_running(running).await;
    let killed = fresh.database.psql(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE datname = current_database() AND state = 'idle in transaction'",
    );
    assert_eq!(killed, "1");
    sign.send(()).expect("it waits");
    let error = call.await.expect("no panic").expect_err("its session is gone");
    assert!(matches!(error, PortError::Unavailable { .. }), "{error:?}");
    let receipt = commit_facts(&store, vec![notice(now(&store).await, "kept")]).await;
    assert_eq!(receipt.first_position, Some(Position(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_session_that_ended_while_nobody_used_it_fails_no_commit() {
    let fresh = Fresh::open().await;
    let store: Arc<dyn Store> = fresh.postgres();
    for _ in 0..5 {
        commit_facts(&store, vec![notice(now(&store).await, "kept")]).await;
        fresh.database.psql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND application_name LIKE 'lifecycle/%'",
        );
    }
    commit_facts(&store, vec![notice(now(&store).await, "kept")]).await;
    assert_eq!(fresh.database.psql("SELECT position FROM journal_head"), "6");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_caller_that_leaves_in_the_middle_leaves_a_whole_commit() {
    let mut fresh = Fresh::open().await;
    let store: Arc<dyn Store> = fresh.postgres();
    let (decision, running, sign) = waiting(noting("whole"));
    let call = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.transact(nothing(), decision).await }
    });
    until_running(running).await;
    call.abort();
    assert!(call.await.expect_err("it was aborted").is_cancelled());
    sign.send(()).expect("the decision still waits");
    drop(store);
    fresh.close().await;
    assert_eq!(fresh.database.psql("SELECT position FROM journal_head"), "1");
    assert_eq!(fresh.database.psql("SELECT count(*) FROM journal"), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn only_a_campaign_that_is_held_elsewhere_waits_and_is_passed_by_after_that_until_it_is_free() {
    let fresh = Fresh::open().await;
    let store: Arc<dyn Store> = fresh.postgres();
    let other: Arc<dyn Store> = fresh.another().await;
    let at = now(&store).await;
    create(&store, &key("held"), definition(at)).await;
    create(&store, &key("free"), definition(at)).await;
    let (decision, running, sign) = waiting(|_| Changes::default());
    let holder = tokio::spawn(async move { other.transact(campaigns(&[key("held")]), decision).await });
    until_running(running).await;

    run(&store, vec![Order::engage(&key("free"), 1)]).await.expect("this one is free");
    let all = [key("held"), key("free"), key("nobody")];
    for waits in [true, false] {
        let begun = Instant::now();
        let view = look(&store, campaigns(&all)).await;
        assert_eq!((view.campaigns.len(), view.busy), (1, HashSet::from([key("held")])));
        assert_eq!(begun.elapsed() >= fresh.settings().lock, waits);
    }
    sign.send(()).expect("it waits");
    holder.await.expect("no panic").expect("nothing is wrong with it");
    let view = look(&store, campaigns(&all)).await;
    assert_eq!((view.campaigns.len(), view.busy.len()), (2, 0));
    run(&store, vec![Order::engage(&key("held"), 1)]).await.expect("now it is free");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_commit_waits_for_the_head_of_the_journal_longer_than_for_any_other_lock() {
    let fresh = Arc::new(Fresh::open().await);
    let store: Arc<dyn Store> = fresh.postgres();
    assert!(fresh.settings().lock < Duration::from_secs(1) && Duration::from_secs(1) < fresh.settings().statement);
    let queue = tokio::task::spawn_blocking({
        let fresh = Arc::clone(&fresh);
        move || fresh.database.psql("BEGIN; SELECT FROM journal_head FOR UPDATE; SELECT pg_sleep(1); COMMIT")
    });
    let held = "SELECT count(*) FROM pg_stat_activity \
        WHERE datname = current_database() AND state = 'active' AND query LIKE 'SELECT pg_sleep%'";
    while !queue.is_finished() && fresh.database.psql(held) != "1" {}
    let receipt = commit_facts(&store, vec![notice(now(&store).await, "patient")]).await;
    assert_eq!(receipt.first_position, Some(Position(1)));
    queue.await.expect("it slept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn due_timers_of_a_campaign_that_is_held_elsewhere_are_passed_by() {
    let fresh = Fresh::open().await;
    let store: Arc<dyn Store> = fresh.postgres();
    let other: Arc<dyn Store> = fresh.another().await;
    let at = now(&store).await;
    for id in ["a", "b", "c"] {
        create(&store, &key(id), definition(at)).await;
    }
    fresh.move_clock(seconds(2));
    let (decision, running, sign) = waiting(|_| Changes::default());
    let holder = tokio::spawn(async move { other.transact(campaigns(&[key("a")]), decision).await });
    until_running(running).await;
    // The limit counts those that are free.
    let view = look(&store, Scope::Due { limit: 2 }).await;
    let seen: Vec<CampaignKey> = view.due.into_iter().map(|due| due.key).collect();
    assert_eq!(seen, [key("b"), key("c")]);
    sign.send(()).expect("it waits");
    holder.await.expect("no panic").expect("nothing is wrong with it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_twins_one_creates_and_the_other_one_sees_it() {
    let fresh = Fresh::open().await;
    let (one, two): (Arc<dyn Store>, Arc<dyn Store>) = (fresh.postgres(), fresh.another().await);
    let at = now(&one).await;
    let order = Order::create(&key("twin"), definition(at)).named(command("same"));
    let orders = Orders(vec![order.clone()]);
    let scope = orders.scope();
    let runs = Arc::new(AtomicUsize::new(0));
    let (decision, running, sign) = waiting({
        let (orders, runs) = (orders.clone(), Arc::clone(&runs));
        move |view| {
            // A real service answers from the inbox what it answered before.
            if runs.fetch_add(1, Ordering::SeqCst) > 0 {
                assert!(view.campaigns.contains_key(&key("twin")) && view.inbox.contains_key(&command_key("same")));
                return Changes::default();
            }
            orders.decide(view)
        }
    });
    let loser = tokio::spawn(async move { one.transact(scope, decision).await });
    until_running(running).await;
    run(&two, vec![order]).await.expect("it comes first");
    drop(sign);
    loser.await.expect("no panic").expect("it ran again, and saw its twin");
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    assert_eq!(fresh.database.psql("SELECT count(*) FROM campaigns"), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_postgresql_cannot_keep_is_refused() {
    let fresh = Fresh::open().await;
    let store: Arc<dyn Store> = fresh.postgres();
    let spoiled = |view: &View| {
        let mut one = notice(view.now, "x");
        one.actor.subject = "a\0b".to_owned();
        Changes { facts: vec![one], ..Changes::default() }
    };
    let error = commit(&store, nothing(), spoiled).await.expect_err("U+0000");
    assert!(matches!(error, PortError::Refused { .. }), "{error:?}");
    let rejected = Entry::Rejected {
        campaign: key("a").id,
        command: "x".to_owned(),
        code: "y".to_owned(),
        message: "a\0b".to_owned(),
    };
    // Within stored JSON it is escaped, and comes back as it was.
    let receipt = commit_facts(&store, vec![fact(now(&store).await, rejected)]).await;
    assert_eq!(receipt.first_position, Some(Position(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_touches_a_timer_twice_ends_as_if_done_one_by_one() {
    let fresh = Fresh::open().await;
    let store: Arc<dyn Store> = fresh.postgres();
    let at = now(&store).await;
    create(&store, &key("a"), definition(at)).await;
    let timer = |due| Timer {
        id: TimerId(new_id()),
        kind: TimerKind::Custom(timer_name("call")),
        due: at + seconds(due),
        generation: 2,
        payload: None,
    };
    let (first, second) = (timer(100), timer(200));
    let arm = |timer: &Timer| TimerWrite::Arm { key: key("a"), timer: timer.clone() };
    let writes = vec![
        arm(&first),
        TimerWrite::Retry { id: first.id, at: at + seconds(300), attempts: 2, error: "no luck".to_owned() },
        TimerWrite::Cancel { id: first.id },
        TimerWrite::Complete { id: first.id, at },
        arm(&second),
        TimerWrite::Hold { id: second.id },
    ];
    let changes = move |_: &View| Changes { timers: writes.clone(), ..Changes::default() };
    commit(&store, campaigns(&[key("a")]), changes).await.expect("a batch");
    let rows = fresh.database.psql("SELECT state, held, attempts FROM timers WHERE kind = 'CUSTOM' ORDER BY due_at");
    assert_eq!(rows, "CANCELLED|f|2\nPENDING|t|0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_due_timer_that_cannot_be_read_is_put_off_and_the_others_fire() {
    let fresh = Fresh::open().await;
    let store: Arc<dyn Store> = fresh.postgres();
    let at = now(&store).await;
    create(&store, &key("a"), definition(at)).await;
    create(&store, &key("b"), definition(at)).await;
    fresh.database.psql(
        "UPDATE timers t SET kind = 'CUSTOM', name = 'bad name!' FROM campaigns c \
         WHERE c.number = t.campaign AND c.id = 'a' AND t.kind = 'START_CAMPAIGN'",
    );
    fresh.move_clock(seconds(2));
    let view = look(&store, Scope::Due { limit: 10 }).await;
    assert_eq!(view.due.iter().map(|due| &due.key).collect::<Vec<_>>(), [&key("b")]);
    let off = "SELECT count(*) FROM timers WHERE retry_at > lifecycle_now() + interval '50 s' AND attempts = 1";
    assert_eq!(fresh.database.psql(off), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_is_announced_with_its_earliest_timer() {
    let fresh = Fresh::open().await;
    let store: Arc<dyn Store> = fresh.postgres();
    let at = now(&store).await;
    assert_eq!(fresh.hints.take(), [], "nothing was committed");
    create(&store, &key("a"), definition(at)).await;
    assert_eq!(fresh.hints.take(), [Hint::Committed, Hint::TimerArmed(at + seconds(1))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_instances_write_one_journal_without_gaps() {
    let fresh = Fresh::open().await;
    let one: Arc<dyn Store> = fresh.postgres();
    let two: Arc<dyn Store> = fresh.another().await;
    let mut writers = tokio::task::JoinSet::new();
    for (n, store) in [&one, &two].into_iter().cycle().take(40).enumerate() {
        let store = Arc::clone(store);
        writers.spawn(async move {
            let at = now(&store).await;
            create(&store, &key(&format!("c-{n}")), definition(at)).await;
        });
    }
    writers.join_all().await;
    let gaps =
        fresh.database.psql("SELECT count(*), min(position), max(position), count(DISTINCT position) FROM journal");
    assert_eq!(gaps, "40|1|40|40");
    assert!(stored(&one, &key("c-39")).await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_restarts_is_found_again() {
    let server = tokio::task::block_in_place(|| {
        let server = test_servers::Postgres::start();
        server.make_database("app").expect("a database");
        server
    });
    let settings: PostgresSettings = support::settings(&server.url("app"));
    lifecycle_adapters_postgres::migrate::up(&settings).await.expect("migrated");
    let postgres = lifecycle_adapters_postgres::Postgres::open(settings, Arc::new(support::Hints::default()));
    let store: Arc<dyn Store> = postgres.await.expect("it opens");
    commit_facts(&store, vec![notice(now(&store).await, "before")]).await;
    tokio::task::block_in_place(|| server.kill());
    let error = commit(&store, nothing(), noting("meanwhile")).await.expect_err("nobody is there");
    assert!(error.may_retry(), "{error:?}");
    tokio::task::block_in_place(|| server.start_again());
    let receipt = commit_facts(&store, vec![notice(now(&store).await, "after")]).await;
    assert_eq!(receipt.first_position, Some(Position(2)), "what was confirmed is there, and nothing else");
}

/// As an old primary is that came back, or one to which the address leads after a failover that went wrong.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_only_reads_from_now_on_is_told_as_failing_though_it_answers() {
    let server = tokio::task::block_in_place(|| {
        let server = test_servers::Postgres::start();
        server.make_database("app").expect("a database");
        server
    });
    let settings: PostgresSettings = support::settings(&server.url("app"));
    lifecycle_adapters_postgres::migrate::up(&settings).await.expect("migrated");
    let postgres = lifecycle_adapters_postgres::Postgres::open(settings, Arc::new(support::Hints::default()));
    let postgres = postgres.await.expect("it opens");
    assert!(!postgres.status().await.expect("it answers").failing);
    tokio::task::block_in_place(|| {
        server.stop_fast();
        std::fs::write(server.folder().join("data/standby.signal"), "").expect("written");
        server.start_again();
    });
    assert!(postgres.status().await.expect("it answers").failing);
}
