//! Events about a campaign that somebody else holds, more than can wait: none becomes a dead letter, and they keep their order.
//! How those wait that have room is the waiting room's, and tested there.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::{Command, CommandId, Requester};
use lifecycle_application::{
    CommandSettings, Commands, Consumer, ConsumerParts, ConsumerSettings, Heartbeats, Policies,
};
use ports::cache::MockCache;
use ports::dead_letters::MockDeadLetters;
use ports::inbound::{Delivery, EntryId, InboundEvent, MockInbound, RawEntry};
use ports::leases::MockLeases;
use ports::query::MockQueries;
use ports::store::{MockStore, Receipt, View};
use support::{CountingIds, VirtualClock, campaign, epoch, key};
use tokio_util::sync::CancellationToken;

fn delivery(id: &str) -> Delivery {
    let event = InboundEvent {
        id: CommandId::parse(id).expect("a valid id"),
        event_type: "campaign.cancelled".to_owned(),
        source: "main-api".to_owned(),
        correlation: None,
        key: key("held"),
        command: Command::Cancel { by: Requester::Producer, reason: None },
        expected_version: None,
        fingerprint: [7; 32],
    };
    let id = EntryId(id.to_owned());
    Delivery { id, raw: RawEntry::default(), event: Ok(event), appended_at: epoch(), deliveries: 1 }
}

/// A store in which somebody holds the campaign for so many transactions.
fn held_for(most: usize) -> MockStore {
    let mut tries = 0;
    let mut store = MockStore::new();
    store.expect_transact().returning(move |_, decision| {
        let mut view = View { now: epoch(), ..View::default() };
        tries += 1;
        if tries <= most {
            view.busy.insert(key("held"));
        } else {
            view.campaigns.insert(key("held"), campaign("held"));
        }
        decision.decide(&view);
        Ok(Receipt { now: epoch(), first_position: None, due: 0, next_due: None })
    });
    store
}

#[tokio::test(start_paused = true)]
async fn where_the_waiting_room_is_full_they_are_taken_again_in_order() {
    let store = held_for(20);
    let mut cache = MockCache::new();
    cache.expect_put().returning(|_| ());
    let ids = Arc::new(CountingIds::default());
    let (commands, worker) = Commands::new(
        Arc::new(store),
        Arc::new(MockQueries::new()),
        Arc::new(cache),
        ids.clone(),
        Arc::new(Policies::default()),
        CommandSettings::default(),
    );
    let stop = CancellationToken::new();
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let mut inbound = MockInbound::new();
    let mut fetched = 0;
    // Two are new, once.
    inbound.expect_fetch().returning(move |_, _, _, _| {
        fetched += 1;
        assert!(fetched < 1_000, "what had no room is not taken again");
        Ok(if fetched == 1 { vec![delivery("1-0"), delivery("2-0")] } else { Vec::new() })
    });
    let order = Arc::clone(&told);
    let mut taken_over = 0;
    inbound.expect_reclaim().returning(move |_, _, idle, _| {
        if !idle.is_zero() {
            return Ok(Vec::new());
        }
        taken_over += 1;
        let pending = |id: &&str| taken_over > 1 && !order.lock().expect("not poisoned").iter().any(|told| told == *id);
        Ok(["1-0", "2-0"].iter().filter(|id| pending(id)).map(|id| delivery(id)).collect())
    });
    let (order, stopping) = (Arc::clone(&told), stop.clone());
    inbound.expect_acknowledge().returning(move |_, ids| {
        let mut order = order.lock().expect("not poisoned");
        order.extend(ids.iter().map(|id| id.0.clone()));
        if order.len() == 2 {
            stopping.cancel();
        }
        Ok(())
    });
    let mut leases = MockLeases::new();
    leases.expect_hold().returning(|_, _, _| Ok(Some(1)));
    leases.expect_release().returning(|_, _| Ok(()));
    let parts = ConsumerParts {
        inbound: Arc::new(inbound),
        commands: Arc::new(commands),
        // No dead letter is expected.
        dead_letters: Arc::new(MockDeadLetters::new()),
        leases: Arc::new(leases),
        clock: Arc::new(VirtualClock::new()),
        ids,
    };
    let settings = ConsumerSettings { waiting: 1, ..ConsumerSettings::default() };
    let consumer = Consumer::new(parts, "one".to_owned(), settings, Heartbeats::default().register("events"));
    let both = async { tokio::join!(consumer.run(stop.clone()), worker.run(stop.clone())) };
    tokio::time::timeout(Duration::from_mins(1), both).await.expect("the campaign is free at last");
    assert_eq!(*told.lock().expect("not poisoned"), ["1-0", "2-0"]);
}
