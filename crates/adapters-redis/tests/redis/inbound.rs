//! What can happen to the inbound stream that the suite of the port does not know: a lost group, removed and giant entries,
//! answers that get lost.

use std::time::Duration;

use ports::PortError;
use ports::inbound::{Delivery, Inbound as _};

use crate::support::{World, event, eventually};

const AT_ONCE: Duration = Duration::ZERO;

fn ids(deliveries: &[Delivery]) -> Vec<String> {
    deliveries.iter().map(|delivery| delivery.id.0.clone()).collect()
}

async fn fetch(world: &World, consumer: &str) -> Vec<Delivery> {
    world.redis.inbound().fetch(consumer, 1, 100, AT_ONCE).await.expect("fetching")
}

async fn append(world: &World, count: usize) -> Vec<String> {
    let events = (0..count).map(|n| event(&format!("e-{n}"))).collect();
    world.redis.inbound().append(events).await.expect("appending").into_iter().map(|id| id.0).collect()
}

#[tokio::test]
async fn after_everything_was_lost_events_are_read_from_the_beginning() {
    let world = World::fresh().await;
    append(&world, 3).await;
    fetch(&world, "one").await;
    world.raw.call(&["DEL", &world.key("campaign-events")]).await;
    assert!(fetch(&world, "one").await.is_empty());
    world.raw.call(&["DEL", &world.key("campaign-events")]).await;
    let appended = append(&world, 2).await;
    // The group is gone with the stream, and came back without it.
    assert_eq!(ids(&fetch(&world, "one").await), appended);
    world.raw.call(&["XGROUP", "DESTROY", &world.key("campaign-events"), "lifecycle-service"]).await;
    assert!(world.redis.inbound().reclaim("one", 1, AT_ONCE, 10).await.expect("reclaiming").is_empty());
    assert_eq!(ids(&fetch(&world, "one").await), appended, "told twice is better than never");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_waits_goes_on_when_the_group_vanishes() {
    let server = test_servers::Redis::start();
    let world = World::fresh_at(&server.url()).await;
    let inbound = world.redis.inbound();
    let waiting = tokio::spawn(async move { inbound.fetch("one", 1, 10, Duration::from_secs(30)).await });
    let stream = world.key("campaign-events");
    let is_waiting = async || world.raw.text(&["CLIENT", "LIST"]).await.contains("cmd=xread");
    eventually("it waits", is_waiting).await;
    world.raw.call(&["DEL", &stream]).await;
    let appended = append(&world, 1).await;
    let got = tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("it is woken");
    assert_eq!(ids(&got.expect("no panic").expect("fetching")), appended);
}

#[tokio::test]
async fn a_wait_ends_in_time() {
    let world = World::fresh().await;
    for wait in [0, 1, 30, 2_100] {
        let began = tokio::time::Instant::now();
        let inbound = world.redis.inbound();
        let got =
            tokio::time::timeout(Duration::from_secs(15), inbound.fetch("one", 1, 10, Duration::from_millis(wait)));
        assert!(got.await.expect("it ends").expect("fetching").is_empty());
        assert!(began.elapsed() >= Duration::from_millis(wait.saturating_sub(1)), "{wait} ms were asked for");
    }
}

#[tokio::test]
async fn removed_entries_are_reported_and_hold_up_nobody() {
    let world = World::fresh().await;
    let appended = append(&world, 30).await;
    fetch(&world, "lost").await;
    let stream = world.key("campaign-events");
    for id in &appended[..20] {
        world.raw.call(&["XDEL", &stream, id]).await;
    }
    // Fewer than are asked for are found at first: the search goes on behind the removed ones.
    let got = world.redis.inbound().reclaim("two", 1, AT_ONCE, 5).await.expect("reclaiming");
    assert_eq!(ids(&got), appended[20..25]);
    let pending = world.raw.call(&["XPENDING", &stream, "lifecycle-service", "-", "+", "100"]).await;
    assert!(!format!("{pending:?}").contains(&appended[0]), "{pending:?}");
    let got = world.redis.inbound().reclaim("two", 1, AT_ONCE, 100).await.expect("reclaiming");
    assert_eq!(ids(&got), appended[20..]);
}

#[tokio::test]
async fn a_giant_entry_hurts_nobody() {
    let world = World::fresh().await;
    let stream = world.key("campaign-events");
    let giant = "x".repeat(10 * 1_024 * 1_024);
    let before = append(&world, 1).await;
    for _ in 0..3 {
        world.raw.call(&["XADD", &stream, "*", "eventId", "giant", "data", &giant]).await;
    }
    let after = append(&world, 1).await;
    let mut got = Vec::new();
    while got.len() < 5 {
        let some = fetch(&world, "one").await;
        assert!(!some.is_empty(), "only {} came", got.len());
        got.extend(some);
    }
    assert_eq!((&got[0].id.0, &got[4].id.0), (&before[0], &after[0]));
    for delivery in &got[1..4] {
        let why = delivery.event.as_ref().expect_err("it is too large");
        assert!(why.message.contains("too large"), "{why:?}");
        assert_eq!(delivery.raw.fields[0].1, "giant");
        let kept: usize = delivery.raw.fields.iter().map(|(name, value)| name.len() + value.len()).sum();
        assert!(kept < 300_000, "{kept} bytes are kept");
    }
    let again = world.redis.inbound().reclaim("two", 1, AT_ONCE, 100).await.expect("reclaiming");
    assert_eq!(ids(&again), ids(&got));
}

#[tokio::test]
async fn what_an_answer_has_lost_on_its_way_is_handed_out_again() {
    let server = test_servers::Redis::start();
    let world = World::fresh_at(&server.url()).await;
    let first = append(&world, 1).await;
    assert_eq!(ids(&fetch(&world, "one").await), first);
    // A call that nobody waits for any more is under way, and the server hands the next entry to nobody.
    let inbound = world.redis.inbound();
    let given_up =
        tokio::time::timeout(Duration::from_millis(50), inbound.fetch("one", 1, 100, Duration::from_secs(5)));
    assert!(given_up.await.is_err(), "there is nothing yet");
    let appended = append(&world, 3).await;
    let stream = world.key("campaign-events");
    world.raw.call(&["XREADGROUP", "GROUP", "lifecycle-service", "one", "COUNT", "1", "STREAMS", &stream, ">"]).await;
    let mut got = Vec::new();
    while got.len() < 3 {
        let some = ids(&fetch(&world, "one").await);
        assert!(!some.is_empty(), "only {got:?} came");
        got.extend(some);
    }
    assert_eq!(got, appended, "what is in work is not handed out again");
}

#[tokio::test]
async fn the_next_process_of_the_same_name_gets_what_it_had_not_finished() {
    let mut world = World::fresh().await;
    let appended = append(&world, 3).await;
    assert_eq!(ids(&fetch(&world, "one").await), appended);
    world.reopen().await;
    let new = append(&world, 1).await;
    let got = fetch(&world, "one").await;
    assert_eq!((ids(&got), got[0].deliveries), (appended, 2));
    assert_eq!(ids(&fetch(&world, "one").await), new);
}

#[tokio::test]
async fn the_oldest_unread_is_known_without_a_group_and_with_foreign_ids() {
    let world = World::fresh().await;
    let stream = world.key("campaign-events");
    world.raw.call(&["XADD", &stream, "5-1", "a", "b"]).await;
    world.raw.call(&["XADD", &stream, "18446744073709551614-1", "a", "b"]).await;
    let oldest = world.redis.inbound().oldest_unread().await.expect("asking").expect("two wait");
    assert_eq!(oldest.timestamp_millis(), 5);
    let got = fetch(&world, "one").await;
    assert_eq!(got.len(), 2);
    world.redis.inbound().acknowledge(1, &[got[0].id.clone()]).await.expect("acknowledging");
    assert!(world.redis.inbound().oldest_unread().await.expect("asking").is_some());
    world.raw.call(&["XGROUP", "DESTROY", &stream, "lifecycle-service"]).await;
    let oldest = world.redis.inbound().oldest_unread().await.expect("asking").expect("all wait again");
    assert_eq!(oldest.timestamp_millis(), 5);
}

/// It was so once: the server handed the entry to whoever had been waiting, in whatever term.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_consumer_that_waits_is_not_handed_what_comes_after_another_took_over() {
    let server = test_servers::Redis::start();
    let world = World::fresh_at(&server.url()).await;
    let other = world.other("two").await;
    let inbound = world.redis.inbound();
    let waiting = tokio::spawn(async move { inbound.fetch("one", 1, 10, Duration::from_secs(30)).await });
    let is_waiting = async || world.raw.text(&["CLIENT", "LIST"]).await.contains("cmd=xread");
    eventually("it waits in the server", is_waiting).await;
    assert!(other.inbound().reclaim("two", 2, AT_ONCE, 10).await.expect("taking over").is_empty());
    let appended = append(&world, 2).await;
    let refused = tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("it is woken").expect("no panic");
    assert!(matches!(refused, Err(PortError::Contended { .. })), "{refused:?}");
    let got = other.inbound().fetch("two", 2, 10, AT_ONCE).await.expect("fetching");
    assert_eq!(ids(&got), appended);
    assert!(got.iter().all(|delivery| delivery.deliveries == 1), "{got:?}");
}

#[tokio::test]
async fn with_the_streams_the_terms_begin_anew() {
    let world = World::fresh().await;
    let inbound = world.redis.inbound();
    inbound.reclaim("one", 90, AT_ONCE, 10).await.expect("a late term");
    inbound.fetch("two", 7, 10, AT_ONCE).await.expect_err("an early one");
    world.redis.publisher().erase().await.expect("erasing");
    inbound.fetch("two", 7, 10, AT_ONCE).await.expect("of a database from a backup");
}
