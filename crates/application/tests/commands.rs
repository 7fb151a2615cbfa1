//! The command queue: batches, isolation, repetition, shutdown. The store is a mock that runs the real decision.

mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::{Command, Requester};
use lifecycle_application::{CommandSettings, CommandWorker, Commands, Policies, SubmitError};
use ports::cache::MockCache;
use ports::query::MockQueries;
use ports::store::{Changes, InboxEntry, MockStore, Outcome, Receipt, Scope, View};
use ports::{PortError, Written};
use support::{CountingIds, campaign, definition, epoch, key, request};
use tokio_util::sync::CancellationToken;

fn receipt() -> Receipt {
    Receipt { now: epoch(), first_position: None, due: 0, next_due: None }
}

fn view_of(scope: &Scope, known: &[&str]) -> View {
    let mut view = View { now: epoch(), ..View::default() };
    if let Scope::Campaigns { keys, .. } = scope {
        for id in known {
            let key = key(id);
            if keys.contains(&key) {
                view.campaigns.insert(key, campaign(id));
            }
        }
    }
    view
}

fn service(store: MockStore, queue: usize) -> (Commands, CommandWorker) {
    service_with(store, MockQueries::new(), queue)
}

fn service_with(store: MockStore, queries: MockQueries, queue: usize) -> (Commands, CommandWorker) {
    let mut cache = MockCache::new();
    cache.expect_put().returning(|_| ());
    let settings = CommandSettings { queue, batch: 100, ..CommandSettings::default() };
    Commands::new(
        Arc::new(store),
        Arc::new(queries),
        Arc::new(cache),
        Arc::new(CountingIds::default()),
        Arc::new(Policies::default()),
        settings,
    )
}

fn create() -> Command {
    Command::Create { definition: definition() }
}

fn cancel() -> Command {
    Command::Cancel { by: Requester::Operator, reason: None }
}

#[tokio::test]
async fn commands_that_wait_together_are_one_commit() {
    let commits = Arc::new(Mutex::new(Vec::<Changes>::new()));
    let seen = Arc::clone(&commits);
    let mut store = MockStore::new();
    store.expect_transact().returning(move |scope, decision| {
        seen.lock().expect("not poisoned").push(decision.decide(&view_of(&scope, &[])));
        Ok(receipt())
    });
    let (commands, worker) = service(store, 100);
    let (a, b, c) = (request("a", "1", create()), request("b", "2", create()), request("a", "3", cancel()));
    let answers = tokio::join!(commands.submit(a), commands.submit(b), commands.submit(c), async {
        let stop = CancellationToken::new();
        stop.cancel();
        worker.run(stop).await;
    });
    assert_eq!(answers.0.expect("answered").outcome, Outcome::Applied { version: 1 });
    assert_eq!(answers.1.expect("answered").outcome, Outcome::Applied { version: 1 });
    assert_eq!(answers.2.expect("answered").outcome, Outcome::Applied { version: 2 });
    let commits = commits.lock().expect("not poisoned");
    assert_eq!(commits.len(), 1);
    assert_eq!(commits[0].campaigns.len(), 2, "each campaign is written once");
    assert_eq!(commits[0].facts.len(), 3);
    assert_eq!(commits[0].inbox.len(), 3);
}

#[tokio::test]
async fn the_same_command_twice_in_one_batch_has_one_effect() {
    let mut store = MockStore::new();
    store.expect_transact().returning(|scope, decision| {
        let changes = decision.decide(&view_of(&scope, &["a"]));
        assert_eq!(changes.facts.len(), 1);
        assert_eq!(changes.inbox.len(), 1);
        Ok(receipt())
    });
    let mut queries = MockQueries::new();
    queries.expect_history().returning(|_, _, _| Ok(Vec::new()));
    let mut cache = MockCache::new();
    cache.expect_put().returning(|_| ());
    let (commands, worker) = Commands::new(
        Arc::new(store),
        Arc::new(queries),
        Arc::new(cache),
        Arc::new(CountingIds::default()),
        Arc::new(Policies::default()),
        CommandSettings::default(),
    );
    let mut other = request("a", "1", cancel());
    other.fingerprint = [8; 32];
    let answers = tokio::join!(
        commands.submit(request("a", "1", cancel())),
        commands.submit(request("a", "1", cancel())),
        commands.submit(other),
        async {
            let stop = CancellationToken::new();
            stop.cancel();
            worker.run(stop).await;
        }
    );
    assert!(!answers.0.expect("answered").replayed);
    let again = answers.1.expect("answered");
    assert!(again.replayed);
    assert_eq!(again.outcome, Outcome::Applied { version: 2 });
    assert!(matches!(answers.2, Err(SubmitError::KeyReused)), "the id was used for other content");
}

#[tokio::test]
async fn a_batch_that_the_store_refuses_is_split_until_the_bad_command_stands_alone() {
    let mut store = MockStore::new();
    store.expect_transact().returning(|scope, decision| {
        let Scope::Campaigns { keys, .. } = &scope else { panic!("commands name campaigns") };
        if keys.contains(&key("bad")) {
            return Err(PortError::Refused { what: "the store", detail: "constraint".to_owned() });
        }
        decision.decide(&view_of(&scope, &[]));
        Ok(receipt())
    });
    let (commands, worker) = service(store, 100);
    let requests = ["a", "b", "bad", "c", "d"]
        .into_iter()
        .enumerate()
        .map(|(i, id)| request(id, &i.to_string(), create()))
        .collect();
    let (answers, ()) = tokio::join!(commands.submit_all(requests), async {
        let stop = CancellationToken::new();
        let worker = worker.run(stop.clone());
        tokio::select! { () = worker => {}, () = tokio::time::sleep(std::time::Duration::from_millis(200)) => {} }
    });
    for (id, answer) in ["a", "b", "bad", "c", "d"].into_iter().zip(answers) {
        match answer {
            Ok(answer) => assert_eq!(answer.outcome, Outcome::Applied { version: 1 }, "{id}"),
            Err(error) => {
                assert_eq!(id, "bad");
                assert!(matches!(error, SubmitError::Poison(_)), "{error}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_nobody_knows_is_asked_for_again_with_the_same_commands() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let mut store = MockStore::new();
    store.expect_transact().returning(move |scope, decision| {
        decision.decide(&view_of(&scope, &[]));
        if counted.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err(PortError::Unknown { what: "the store", source: "connection lost".into() });
        }
        Ok(receipt())
    });
    let (commands, worker) = service(store, 100);
    let (answer, ()) = tokio::join!(commands.submit(request("a", "1", create())), async {
        let stop = CancellationToken::new();
        stop.cancel();
        worker.run(stop).await;
    });
    assert_eq!(answer.expect("answered").outcome, Outcome::Applied { version: 1 });
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_may_have_happened_is_not_denied_because_a_later_try_fails() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let mut store = MockStore::new();
    store.expect_transact().returning(move |_, _| {
        Err(match counted.fetch_add(1, Ordering::SeqCst) {
            0 => PortError::Unknown { what: "the store", source: "connection lost".into() },
            _ => PortError::Unavailable { what: "the store", source: "connection refused".into() },
        })
    });
    let (commands, worker) = service(store, 100);
    let (answer, ()) = tokio::join!(commands.submit(request("a", "1", create())), async {
        let stop = CancellationToken::new();
        stop.cancel();
        worker.run(stop).await;
    });
    let Err(SubmitError::Store(error)) = answer else { panic!("the store has failed") };
    assert_eq!(error.written(), Written::Unknown, "{error}");
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_command_that_was_done_is_not_denied_because_its_campaign_cannot_be_read() {
    let mut store = MockStore::new();
    store.expect_transact().returning(move |scope, decision| {
        let mut view = view_of(&scope, &["a"]);
        if let Scope::Campaigns { commands, .. } = &scope {
            let outcome = Outcome::Applied { version: 1 };
            let entry = InboxEntry { key: key("a"), fingerprint: [7; 32], outcome, at: epoch() };
            view.inbox.insert(commands[0].clone(), entry);
        }
        decision.decide(&view);
        Ok(receipt())
    });
    let mut queries = MockQueries::new();
    queries
        .expect_history()
        .returning(|_, _, _| Err(PortError::Unavailable { what: "the store", source: "connection refused".into() }));
    let (commands, worker) = service_with(store, queries, 100);
    let (answer, ()) = tokio::join!(commands.submit(request("a", "1", create())), async {
        let stop = CancellationToken::new();
        stop.cancel();
        worker.run(stop).await;
    });
    let Err(SubmitError::Store(error)) = answer else { panic!("the campaign cannot be read") };
    assert_eq!(error.written(), Written::Unknown, "{error}");
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_a_stopped_one_says_so() {
    let (commands, worker) = service(MockStore::new(), 1);
    let waiting = commands.submit(request("a", "1", create()));
    tokio::pin!(waiting);
    assert!(futures_poll(waiting.as_mut()).await.is_none(), "it waits for the worker");
    assert!(matches!(commands.submit(request("a", "2", create())).await, Err(SubmitError::Overloaded)));
    drop(worker);
    assert!(matches!(waiting.await, Err(SubmitError::Stopping)));
    assert!(matches!(commands.submit(request("a", "3", create())).await, Err(SubmitError::Stopping)));
}

#[tokio::test(start_paused = true)]
async fn a_command_that_waits_for_too_long_is_refused_and_nothing_is_begun_for_it() {
    let slow = CommandSettings::default().wait + Duration::from_secs(1);
    let mut store = MockStore::new();
    store.expect_transact().times(1).returning(|scope, decision| {
        decision.decide(&view_of(&scope, &[]));
        Ok(receipt())
    });
    let (commands, worker) = service(store, 100);
    let stop = CancellationToken::new();
    let late = async {
        // The worker is not there in time.
        tokio::time::sleep(slow).await;
        tokio::spawn(worker.run(stop.clone()));
        commands.submit(request("b", "2", create())).await
    };
    let all = async { commands.submit_all(vec![request("c", "3", create()), request("d", "4", create())]).await };
    let (first, many, last) = tokio::join!(commands.submit(request("a", "1", create())), all, late);
    assert!(matches!(first, Err(SubmitError::Overloaded)), "{first:?}");
    assert!(many.iter().all(|answer| matches!(answer, Err(SubmitError::Overloaded))), "{many:?}");
    assert_eq!(last.expect("it came later").outcome, Outcome::Applied { version: 1 });
    stop.cancel();
}

/// Polls once.
async fn futures_poll<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
    std::future::poll_fn(|cx| match std::pin::Pin::new(&mut future).poll(cx) {
        std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}

#[tokio::test]
async fn an_unknown_campaign_leaves_no_trace_so_that_the_command_may_come_again() {
    let mut store = MockStore::new();
    store.expect_transact().returning(|scope, decision| {
        let changes = decision.decide(&view_of(&scope, &[]));
        assert!(changes.facts.is_empty() && changes.inbox.is_empty());
        Ok(receipt())
    });
    let (commands, worker) = service(store, 10);
    let (answer, ()) = tokio::join!(commands.submit(request("nobody", "1", cancel())), async {
        let stop = CancellationToken::new();
        stop.cancel();
        worker.run(stop).await;
    });
    let Outcome::Rejected { code, .. } = answer.expect("answered").outcome else { panic!("it is rejected") };
    assert_eq!(code, "unknown_campaign");
}

#[tokio::test]
async fn a_campaign_that_cannot_be_read_fails_alone() {
    let mut store = MockStore::new();
    store.expect_transact().returning(|scope, decision| {
        let mut view = view_of(&scope, &["good"]);
        view.unreadable = HashMap::from([(key("broken"), "bad JSON".to_owned())]);
        assert_eq!(decision.decide(&view).campaigns.len(), 1);
        Ok(receipt())
    });
    let (commands, worker) = service(store, 10);
    let answers = tokio::join!(
        commands.submit(request("broken", "1", cancel())),
        commands.submit(request("good", "2", cancel())),
        async {
            let stop = CancellationToken::new();
            stop.cancel();
            worker.run(stop).await;
        }
    );
    assert!(matches!(answers.0, Err(SubmitError::Poison(_))));
    assert_eq!(answers.1.expect("answered").outcome, Outcome::Applied { version: 2 });
}

/// What a decision sees while somebody else holds `busy`, and `free` is there.
fn view_without(scope: &Scope, busy: &str, free: &str) -> View {
    let mut view = view_of(scope, &[free]);
    view.busy.insert(key(busy));
    view
}

#[tokio::test]
async fn a_campaign_that_somebody_else_holds_fails_alone_and_leaves_no_trace() {
    let mut store = MockStore::new();
    store.expect_transact().returning(|scope, decision| {
        let changes = decision.decide(&view_without(&scope, "held", "free"));
        assert_eq!((changes.campaigns.len(), changes.inbox.len()), (1, 1));
        Ok(receipt())
    });
    let (commands, worker) = service(store, 10);
    let answers = tokio::join!(
        commands.submit(request("held", "1", cancel())),
        commands.submit(request("free", "2", cancel())),
        {
            let stop = CancellationToken::new();
            stop.cancel();
            worker.run(stop)
        }
    );
    let Err(SubmitError::Store(error)) = answers.0 else { panic!("somebody holds it") };
    assert!(error.may_retry() && error.written() == Written::No, "{error}");
    assert_eq!(answers.1.expect("answered").outcome, Outcome::Applied { version: 2 });
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_may_have_happened_is_not_denied_because_its_campaign_is_held_at_a_later_try() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let mut store = MockStore::new();
    store.expect_transact().returning(move |scope, decision| {
        if counted.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err(PortError::Unknown { what: "the store", source: "connection lost".into() });
        }
        decision.decide(&view_without(&scope, "a", "b"));
        Ok(receipt())
    });
    let (commands, worker) = service(store, 100);
    let (answer, ()) = tokio::join!(commands.submit(request("a", "1", cancel())), async {
        let stop = CancellationToken::new();
        stop.cancel();
        worker.run(stop).await;
    });
    let Err(SubmitError::Store(error)) = answer else { panic!("nobody knows") };
    assert_eq!(error.written(), Written::Unknown, "{error}");
}

#[tokio::test]
async fn behind_a_command_whose_campaign_is_held_no_later_batch_goes_ahead() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let mut store = MockStore::new();
    store.expect_transact().returning(move |scope, decision| {
        // The first one of the batch, and not the last one.
        let busy = if counted.fetch_add(1, Ordering::SeqCst) == 0 { "held" } else { "nobody" };
        decision.decide(&view_without(&scope, busy, "free"));
        Ok(receipt())
    });
    let (commands, worker) = service(store, 1_000);
    let campaign = |n: usize| if n.is_multiple_of(100) { "held" } else { "free" };
    let requests = (0..150).map(|n| request(campaign(n), &n.to_string(), cancel())).collect();
    let stop = CancellationToken::new();
    let answers = tokio::select! {
        answers = commands.submit_all(requests) => answers,
        () = worker.run(stop) => panic!("nobody stops it"),
    };
    let failed: Vec<usize> = (0..150).filter(|n| matches!(answers[*n], Err(SubmitError::Store(_)))).collect();
    assert_eq!(failed, [vec![0], (100..150).collect()].concat());
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn when_the_store_fails_nothing_later_goes_ahead_of_what_failed() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let mut store = MockStore::new();
    store.expect_transact().returning(move |scope, decision| {
        if counted.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err(PortError::Unavailable { what: "the store", source: "disk full".into() });
        }
        decision.decide(&view_of(&scope, &["a"]));
        Ok(receipt())
    });
    let (commands, worker) = service(store, 1_000);
    // More than one batch of them, all about one campaign.
    let requests = (0..150).map(|n| request("a", &n.to_string(), cancel())).collect();
    let stop = CancellationToken::new();
    let answers = tokio::select! {
        answers = commands.submit_all(requests) => answers,
        () = worker.run(stop) => panic!("nobody stops it"),
    };
    assert_eq!(answers.len(), 150);
    assert!(answers.iter().all(|answer| matches!(answer, Err(SubmitError::Store(_)))), "the second batch waits, too");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}
