//! The consumer among several: one consumes, and who takes over begins with what its predecessor left.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lifecycle_application::{
    CommandSettings, Commands, Consumer, ConsumerParts, ConsumerSettings, Heartbeats, Policies,
};
use ports::PortError;
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
    let mut dead_letters = MockDeadLetters::new();
    dead_letters.expect_add().returning(|_| Ok(()));
    consumer_with(inbound, leases, dead_letters)
}

fn consumer_with(inbound: MockInbound, leases: MockLeases, dead_letters: MockDeadLetters) -> Consumer {
    let ids = Arc::new(CountingIds::default());
    let (commands, _worker) = Commands::new(
        Arc::new(MockStore::new()),
        Arc::new(MockQueries::new()),
        Arc::new(MockCache::new()),
        ids.clone(),
        Arc::new(Policies::default()),
        CommandSettings::default(),
    );
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
    inbound.expect_reclaim().returning(move |_, term, idle, _| {
        assert_eq!(term, 2);
        let at_once = idle.is_zero();
        let first = told.lock().expect("not poisoned").is_empty();
        Ok(if at_once && first { vec![garbage("1-0"), garbage("2-0")] } else { Vec::new() })
    });
    let told = Arc::clone(&order);
    inbound.expect_acknowledge().returning(move |term, ids| {
        assert_eq!(term, 2);
        told.lock().expect("not poisoned").extend(ids.iter().map(|id| format!("done {}", id.0)));
        Ok(())
    });
    let told = Arc::clone(&order);
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    inbound.expect_fetch().returning(move |_, term, _, _| {
        assert_eq!(term, 2);
        told.lock().expect("not poisoned").push("new ones".to_owned());
        stopping.cancel();
        Ok(Vec::new())
    });
    consumer(inbound, leases).run(stop).await;
    assert_eq!(order.lock().expect("not poisoned")[..3], ["done 1-0", "done 2-0", "new ones"]);
}

/// A stream that hands out nothing, refuses what `is_refused` says, and notes in which terms it was asked for what.
fn noting(is_refused: fn(&[String]) -> bool, stop: CancellationToken, told: &Arc<Mutex<Vec<String>>>) -> MockInbound {
    let answer = {
        let told = Arc::clone(told);
        move |what: &str, term: u64| {
            let mut told = told.lock().expect("not poisoned");
            told.push(format!("{what} in {term}"));
            if is_refused(&told) {
                return Err(PortError::Contended { what: "the stream" });
            }
            if told.len() > 3 {
                stop.cancel();
            }
            Ok(Vec::new())
        }
    };
    let mut inbound = MockInbound::new();
    let reclaiming = answer.clone();
    inbound.expect_reclaim().returning(move |_, term, idle, _| {
        // What it looks for now and then is of no interest here.
        if idle.is_zero() { reclaiming("pending", term) } else { Ok(Vec::new()) }
    });
    inbound.expect_fetch().returning(move |_, term, _, _| answer("new", term));
    inbound
}

/// Also where the terms of the leases have gone back, with the database: the next one is higher, and so on.
#[tokio::test(start_paused = true)]
async fn who_is_refused_gives_its_claim_back_and_begins_anew_in_the_next_term() {
    let (told, stop) = (Arc::default(), CancellationToken::new());
    let (mut term, mut released) = (0, MockLeases::new());
    released.expect_hold().returning(move |_, _, _| {
        term += 1;
        Ok(Some(term))
    });
    released.expect_release().times(2..).returning(|_, _| Ok(()));
    let inbound = noting(|told| told.len() == 2, stop.clone(), &told);
    consumer(inbound, released).run(stop).await;
    let told = told.lock().expect("not poisoned");
    assert_eq!(told[..4], ["pending in 1", "new in 1", "pending in 2", "new in 2"]);
}

/// It was so once: what was pending was left for later when it could not be had at once, and new entries came before it.
#[tokio::test(start_paused = true)]
async fn nothing_new_is_read_before_taking_over_has_succeeded() {
    let (told, stop) = (Arc::default(), CancellationToken::new());
    let mut leases = MockLeases::new();
    leases.expect_hold().returning(|_, _, _| Ok(Some(7)));
    leases.expect_release().returning(|_, _| Ok(()));
    let mut inbound = MockInbound::new();
    let order: Arc<Mutex<Vec<&str>>> = Arc::clone(&told);
    inbound.expect_reclaim().returning(move |_, _, idle, _| {
        let mut order = order.lock().expect("not poisoned");
        if idle.is_zero() {
            order.push("pending");
            if order.len() < 3 {
                return Err(PortError::Unavailable { what: "the stream", source: "it is not there".into() });
            }
        }
        Ok(Vec::new())
    });
    let (order, stopping) = (Arc::clone(&told), stop.clone());
    inbound.expect_fetch().returning(move |_, _, _, _| {
        order.lock().expect("not poisoned").push("new");
        stopping.cancel();
        Ok(Vec::new())
    });
    consumer(inbound, leases).run(stop).await;
    assert_eq!(*told.lock().expect("not poisoned"), ["pending", "pending", "pending", "new"]);
}

/// It was so once: an event whose dead letter could not be kept came again behind later ones, and took effect after them.
#[tokio::test(start_paused = true)]
async fn what_could_not_be_finished_is_taken_again_before_anything_new() {
    let (told, stop) = (Arc::<Mutex<Vec<&str>>>::default(), CancellationToken::new());
    let mut leases = MockLeases::new();
    leases.expect_hold().returning(|_, _, _| Ok(Some(7)));
    leases.expect_release().returning(|_, _| Ok(()));
    let mut inbound = MockInbound::new();
    let order = Arc::clone(&told);
    inbound.expect_reclaim().returning(move |_, _, idle, _| {
        if idle.is_zero() {
            order.lock().expect("not poisoned").push("pending");
        }
        Ok(Vec::new())
    });
    let (order, stopping) = (Arc::clone(&told), stop.clone());
    inbound.expect_fetch().returning(move |_, _, _, _| {
        let mut order = order.lock().expect("not poisoned");
        order.push("new");
        if order.len() > 2 {
            stopping.cancel();
            return Ok(Vec::new());
        }
        Ok(vec![garbage("1-0")])
    });
    let mut dead_letters = MockDeadLetters::new();
    dead_letters
        .expect_add()
        .returning(|_| Err(PortError::Unavailable { what: "the store", source: "it is not there".into() }));
    consumer_with(inbound, leases, dead_letters).run(stop).await;
    assert_eq!(*told.lock().expect("not poisoned"), ["pending", "new", "pending", "new"]);
}
