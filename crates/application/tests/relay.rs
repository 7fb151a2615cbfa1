//! The relay: publishes in order from where the world stands, and lets the cache know first.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::{CampaignId, Event, Step, Trigger};
use lifecycle_application::{Heartbeats, Relay, RelayParts};
use ports::PortError;
use ports::cache::MockCache;
use ports::feed::{MockOutbox, MockPublisher, Publisher, Told};
use ports::journal::{Actor, CampaignStep, Cause, Entry, Fact, Position, Record};
use ports::leases::MockLeases;
use ports::wakeups::{MockWakeups, Sleeper};
use support::{VirtualClock, epoch, key};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

fn step(position: u64, campaign: &str, sequence: u64) -> Arc<Record> {
    let event = Event::StatusChanged {
        from: domain::Status::Created,
        to: domain::Status::Running,
        trigger: Trigger::Operator,
        reason: None,
        timer: None,
    };
    let step = CampaignStep {
        campaign: CampaignId::parse(campaign).expect("valid"),
        owner: None,
        status: domain::Status::Running,
        step: Step { sequence, at: epoch(), event, armed: Vec::new() },
        cancelled: Vec::new(),
        metadata: None,
    };
    let fact = Fact {
        id: Uuid::from_u128(u128::from(position)),
        at: epoch(),
        tenant: key(campaign).tenant,
        actor: Actor::timer(),
        cause: Cause::default(),
        entry: Entry::Step(Box::new(step)),
    };
    Arc::new(Record { position: Position(position), fact })
}

struct Asleep;

#[async_trait::async_trait]
impl Sleeper for Asleep {
    async fn timer_armed(&mut self) -> domain::Timestamp {
        std::future::pending().await
    }

    async fn committed(&mut self) {
        std::future::pending::<()>().await;
    }

    async fn appended(&mut self) {
        std::future::pending::<()>().await;
    }
}

fn granted() -> MockLeases {
    let mut leases = MockLeases::new();
    leases.expect_hold().returning(|_, _, _| Ok(Some(1)));
    leases.expect_release().times(1).returning(|_, _| Ok(()));
    leases
}

fn parts(outbox: MockOutbox, publisher: MockPublisher, cache: MockCache, leases: MockLeases) -> RelayParts {
    let mut wakeups = MockWakeups::new();
    wakeups.expect_subscribe().returning(|| Box::new(Asleep));
    RelayParts {
        outbox: Arc::new(outbox),
        publisher: Arc::new(publisher),
        cache: Arc::new(cache),
        wakeups: Arc::new(wakeups),
        leases: Arc::new(leases),
        clock: Arc::new(VirtualClock::new()),
    }
}

/// A world that was told up to `position`, and that the fact there is the one numbered `fact`.
fn told_up_to(position: u64, fact: Option<u128>) -> MockPublisher {
    let mut publisher = MockPublisher::new();
    let told = Told { position: Position(position), fact: fact.map(Uuid::from_u128) };
    publisher.expect_told().returning(move || Ok(told));
    publisher
}

/// It publishes what waits, and ends.
async fn run_once(parts: RelayParts) {
    let relay = Relay::new(parts, "one".to_owned(), Heartbeats::default().register("relay"));
    let stop = CancellationToken::new();
    stop.cancel();
    relay.run(stop).await;
}

#[tokio::test]
async fn who_does_not_hold_the_lease_publishes_nothing() {
    let mut leases = MockLeases::new();
    leases.expect_hold().times(1).returning(|_, _, _| Ok(None));
    run_once(parts(MockOutbox::new(), MockPublisher::new(), MockCache::new(), leases)).await;
}

#[tokio::test]
async fn a_world_that_knows_nothing_is_told_from_where_the_outbox_begins() {
    let mut outbox = MockOutbox::new();
    outbox.expect_read().returning(|after, _| {
        Ok([step(6, "a", 2), step(7, "b", 1)].into_iter().filter(|r| r.position > after).collect())
    });
    outbox.expect_begin().times(1).returning(|| Ok(Position(5)));
    let mut publisher = told_up_to(0, None);
    publisher.expect_begin_after().times(1).withf(|begin| *begin == Position(5)).returning(|_| Ok(()));
    publisher.expect_publish().times(1).withf(|records| records.len() == 2).returning(|_| Ok(()));
    let mut cache = MockCache::new();
    cache.expect_outdated().returning(|_| Ok(()));
    run_once(parts(outbox, publisher, cache, granted())).await;
}

#[tokio::test]
async fn the_cache_knows_of_a_step_before_the_world_does() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let mut outbox = MockOutbox::new();
    outbox.expect_read().returning(|after, _| {
        // "b" is new: nobody can have kept an older one.
        let records = [step(5, "z", 1), step(6, "a", 2), step(7, "b", 1), step(8, "a", 3)];
        Ok(records.into_iter().filter(|r| r.position > after).collect())
    });
    let mut publisher = told_up_to(5, Some(5));
    let order = Arc::clone(&told);
    publisher.expect_publish().times(1).returning(move |records| {
        let positions: Vec<u64> = records.iter().map(|r| r.position.0).collect();
        order.lock().expect("not poisoned").push(format!("world {positions:?}"));
        Ok(())
    });
    let mut cache = MockCache::new();
    let order = Arc::clone(&told);
    cache.expect_outdated().times(1).returning(move |mut versions| {
        versions.sort();
        let versions: Vec<_> = versions.iter().map(|(key, version)| format!("{}@{version}", key.id)).collect();
        order.lock().expect("not poisoned").push(format!("cache {versions:?}"));
        Ok(())
    });
    run_once(parts(outbox, publisher, cache, granted())).await;
    assert_eq!(*told.lock().expect("not poisoned"), ["cache [\"a@3\"]", "world [6, 7, 8]"]);
}

#[tokio::test]
async fn nothing_is_told_of_a_log_that_is_not_the_one_the_world_was_told_from() {
    for records in [vec![], vec![step(5, "other", 1), step(6, "a", 2)]] {
        let mut outbox = MockOutbox::new();
        let of_another = !records.is_empty();
        outbox
            .expect_read()
            .returning(move |after, _| Ok(records.iter().filter(|r| r.position > after).cloned().collect()));
        // No publication is expected.
        let publisher = told_up_to(5, Some(if of_another { 99 } else { 5 }));
        run_once(parts(outbox, publisher, MockCache::new(), granted())).await;
    }
}

#[tokio::test]
async fn what_was_not_told_for_longer_than_the_outbox_promises_is_told_all_the_same() {
    let mut outbox = MockOutbox::new();
    outbox.expect_read().returning(|after, _| {
        Ok([step(5, "z", 1), step(6, "a", 2)].into_iter().filter(|r| r.position > after).collect())
    });
    outbox.expect_begin().returning(|| Ok(Position(900)));
    let mut publisher = told_up_to(5, Some(5));
    publisher.expect_publish().times(1).withf(|records| records[0].position == Position(6)).returning(|_| Ok(()));
    let mut cache = MockCache::new();
    cache.expect_outdated().returning(|_| Ok(()));
    run_once(parts(outbox, publisher, cache, granted())).await;
}

/// It was so once: the cache could not be told, and the world was told all the same.
#[tokio::test]
async fn nothing_is_published_of_which_the_cache_could_not_be_told() {
    let mut outbox = MockOutbox::new();
    outbox.expect_read().returning(|after, _| {
        Ok([step(5, "z", 1), step(6, "a", 2)].into_iter().filter(|r| r.position > after).collect())
    });
    let mut publisher = told_up_to(5, Some(5));
    publisher.expect_publish().never();
    let mut cache = MockCache::new();
    cache.expect_outdated().times(1).returning(|_| Err(PortError::Contended { what: "the cache" }));
    run_once(parts(outbox, publisher, cache, granted())).await;
}

#[tokio::test]
async fn a_log_that_begins_right_after_what_was_told_is_told_whole() {
    let mut outbox = MockOutbox::new();
    outbox.expect_read().returning(|after, _| {
        Ok([step(6, "a", 2), step(7, "b", 1)].into_iter().filter(|r| r.position > after).collect())
    });
    let mut publisher = told_up_to(5, Some(5));
    publisher.expect_publish().times(1).withf(|records| records.len() == 2).returning(|_| Ok(()));
    let mut cache = MockCache::new();
    cache.expect_outdated().returning(|_| Ok(()));
    run_once(parts(outbox, publisher, cache, granted())).await;
}

/// Takes its time.
struct Slow;

#[async_trait::async_trait]
impl Publisher for Slow {
    async fn told(&self) -> Result<Told, PortError> {
        Ok(Told { position: Position(5), fact: Some(Uuid::from_u128(5)) })
    }

    async fn publish(&self, _: Vec<Arc<Record>>) -> Result<(), PortError> {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(())
    }

    async fn begin_after(&self, _: Position) -> Result<(), PortError> {
        unreachable!("nothing was taken away")
    }
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_is_told_to_stop_in_the_middle_of_a_long_backlog_leaves_the_rest() {
    let mut outbox = MockOutbox::new();
    outbox.expect_read().returning(|after, limit| {
        let end = after.0 + u64::try_from(limit).expect("a limit");
        Ok((after.0 + 1..=end).map(|position| step(position, "a", position)).collect())
    });
    let mut cache = MockCache::new();
    cache.expect_outdated().returning(|_| Ok(()));
    let parts = RelayParts { publisher: Arc::new(Slow), ..parts(outbox, MockPublisher::new(), cache, granted()) };
    let relay = Relay::new(parts, "one".to_owned(), Heartbeats::default().register("relay"));
    let shutdown = CancellationToken::new();
    let begun = tokio::time::Instant::now();
    tokio::join!(relay.run(shutdown.clone()), async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        shutdown.cancel();
    });
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(8), "it went on for {took:?}");
}
