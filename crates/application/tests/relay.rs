//! The relay: publishes in order from where the world stands, and lets the cache know first.

mod support;

use std::sync::{Arc, Mutex};

use domain::{CampaignId, Event, Step, Trigger};
use lifecycle_application::{Heartbeats, Relay};
use ports::cache::MockCache;
use ports::feed::{MockOutbox, MockPublisher};
use ports::journal::{Actor, CampaignStep, Cause, Entry, Fact, Position, Record};
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

#[tokio::test]
async fn the_cache_knows_of_a_step_before_the_world_does() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let mut outbox = MockOutbox::new();
    outbox.expect_read().returning(|after, _| {
        let records = [step(6, "a", 2), step(7, "b", 1), step(8, "a", 3)];
        Ok(records.into_iter().filter(|r| r.position > after).collect())
    });
    let mut publisher = MockPublisher::new();
    publisher.expect_top().returning(|| Ok(Position(5)));
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
    });
    let mut wakeups = MockWakeups::new();
    wakeups.expect_subscribe().returning(|| Box::new(Asleep));
    let relay = Relay::new(
        Arc::new(outbox),
        Arc::new(publisher),
        Arc::new(cache),
        Arc::new(wakeups),
        Arc::new(VirtualClock::new()),
        Heartbeats::default().register("relay"),
    );
    let stop = CancellationToken::new();
    stop.cancel(); // it publishes what waits, and ends
    relay.run(stop).await;
    assert_eq!(*told.lock().expect("not poisoned"), ["cache [\"a@3\", \"b@1\"]", "world [6, 7, 8]"]);
}
