//! The consumer among several: one consumes, and who takes over begins with what its predecessor left.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lifecycle_application::{
    CommandSettings, Commands, Consumer, ConsumerParts, ConsumerSettings, Heartbeats, Policies,
};
use ports::cache::MockCache;
use ports::dead_letters::MockDeadLetters;
use ports::inbound::{Delivery, EntryId, MockInbound, RawEntry, Undecodable};
use ports::leases::MockLeases;
use ports::query::MockQueries;
use ports::store::MockStore;
use support::{CountingIds, VirtualClock, epoch};
use tokio_util::sync::CancellationToken;

fn garbage(id: &str) -> Delivery {
    Delivery {
        id: EntryId(id.to_owned()),
        raw: RawEntry::default(),
        event: Err(Undecodable { code: "malformed_event".to_owned(), message: "it is empty".to_owned() }),
        appended_at: epoch(),
        deliveries: 1,
    }
}

fn consumer(inbound: MockInbound, leases: MockLeases) -> Consumer {
    let ids = Arc::new(CountingIds::default());
    let (commands, _worker) = Commands::new(
        Arc::new(MockStore::new()),
        Arc::new(MockQueries::new()),
        Arc::new(MockCache::new()),
        ids.clone(),
        Arc::new(Policies::default()),
        CommandSettings::default(),
    );
    let mut dead_letters = MockDeadLetters::new();
    dead_letters.expect_add().returning(|_| Ok(()));
    let parts = ConsumerParts {
        inbound: Arc::new(inbound),
        commands: Arc::new(commands),
        dead_letters: Arc::new(dead_letters),
        leases: Arc::new(leases),
        clock: Arc::new(VirtualClock::new()),
        ids,
    };
    Consumer::new(parts, "two".to_owned(), ConsumerSettings::default(), Heartbeats::default().register("events"))
}

#[tokio::test(start_paused = true)]
async fn who_does_not_hold_the_lease_reads_nothing() {
    let mut leases = MockLeases::new();
    leases.expect_hold().times(2..).returning(|_, _, _| Ok(None));
    let stop = CancellationToken::new();
    let consumer = consumer(MockInbound::new(), leases);
    tokio::join!(consumer.run(stop.clone()), async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        stop.cancel();
    });
}

#[tokio::test(start_paused = true)]
async fn who_takes_over_deals_with_what_is_pending_before_anything_new() {
    let order: Arc<Mutex<Vec<String>>> = Arc::default();
    let mut leases = MockLeases::new();
    leases.expect_hold().returning(|_, _, _| Ok(Some(2)));
    leases.expect_release().times(1).returning(|_, _| Ok(()));
    let mut inbound = MockInbound::new();
    let told = Arc::clone(&order);
    inbound.expect_reclaim().returning(move |_, idle, _| {
        let at_once = idle.is_zero();
        let first = told.lock().expect("not poisoned").is_empty();
        Ok(if at_once && first { vec![garbage("1-0"), garbage("2-0")] } else { Vec::new() })
    });
    let told = Arc::clone(&order);
    inbound.expect_acknowledge().returning(move |ids| {
        told.lock().expect("not poisoned").extend(ids.iter().map(|id| format!("done {}", id.0)));
        Ok(())
    });
    let told = Arc::clone(&order);
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    inbound.expect_fetch().returning(move |_, _, _| {
        told.lock().expect("not poisoned").push("new ones".to_owned());
        stopping.cancel();
        Ok(Vec::new())
    });
    consumer(inbound, leases).run(stop).await;
    assert_eq!(order.lock().expect("not poisoned")[..3], ["done 1-0", "done 2-0", "new ones"]);
}
