//! What the streams hold against what they were told (V5), and how a stream is told again.

use fred::prelude::Value;
use ports::feed::Publisher as _;
use ports::journal::Position;
use ports::verification::{StreamFault, Streams as _};

use crate::publishing::{assert_told, relay};
use crate::support::{World, records};

/// Told up to here.
const LAST: u64 = 250;

async fn faults(world: &World) -> Vec<(String, u64, String)> {
    let found = world.redis.streams().compare(&records(1..=LAST)).await.expect("reading");
    found.into_iter().map(|StreamFault { stream, position, detail }| (stream, position.0, detail)).collect()
}

/// The ids that a member of the group is given next.
async fn given(world: &World, group: &str) -> Vec<String> {
    let stream = world.key("lifecycle-events");
    let answer = world.raw.call(&["XREADGROUP", "GROUP", group, "one", "STREAMS", &stream, ">"]).await;
    let Value::Array(streams) = answer else { return Vec::new() };
    let Some(Value::Array(parts)) = streams.into_iter().next() else { return Vec::new() };
    let Some(Value::Array(entries)) = parts.into_iter().nth(1) else { return Vec::new() };
    let id = |entry: Value| {
        let (id, _): (String, Vec<String>) = entry.convert().expect("an entry");
        id
    };
    entries.into_iter().map(id).collect()
}

#[tokio::test]
async fn whatever_a_stream_lacks_or_has_otherwise_is_found() {
    let world = World::fresh().await;
    relay(&world, LAST).await;
    assert_eq!(world.redis.streams().told().await.expect("reading"), Position(LAST));
    assert_eq!(faults(&world).await, []);

    let events = world.key("lifecycle-events");
    world.raw.call(&["XDEL", &events, "7-0", "201-0"]).await;
    world.raw.call(&["XDEL", &world.key("system-events"), "10-0"]).await;
    world.raw.call(&["XDEL", &world.key("notification-events"), "250-0"]).await;
    let found = faults(&world).await;
    let places: Vec<(&str, u64)> = found.iter().map(|(stream, position, _)| (stream.as_str(), *position)).collect();
    let missing =
        [("lifecycle-events", 7), ("system-events", 10), ("lifecycle-events", 201), ("notification-events", 250)];
    assert_eq!(places, missing);
    assert!(found.iter().all(|(.., detail)| detail.contains("is not in the stream")), "{found:?}");
}

#[tokio::test]
async fn an_entry_that_says_something_else_is_found() {
    let world = World::fresh().await;
    relay(&world, LAST).await;
    let events = world.key("lifecycle-events");
    world.raw.call(&["RENAME", &events, "kept"]).await;
    world.raw.call(&["XADD", &events, "1-0", "eventId", "1-0", "eventType", "campaign.status.changed"]).await;
    let found = faults(&world).await;
    assert!(found[0].2.contains("otherwise"), "{:?}", found[0]);
    world.raw.call(&["RENAME", "kept", &events]).await;
    assert_eq!(faults(&world).await, []);
}

#[tokio::test]
async fn a_stream_that_is_told_again_is_whole_and_its_groups_read_on_from_where_it_was_not() {
    let world = World::fresh().await;
    relay(&world, LAST).await;
    let events = world.key("lifecycle-events");
    for (group, from) in [("ahead", "0"), ("behind", "41-0"), ("pending", "0")] {
        world.raw.call(&["XGROUP", "CREATE", &events, group, from]).await;
    }
    let all = given(&world, "ahead").await;
    for id in &all {
        world.raw.call(&["XACK", &events, "ahead", id]).await;
    }
    // All but one are acknowledged by this one.
    for id in given(&world, "pending").await.iter().filter(|id| *id != "23-0") {
        world.raw.call(&["XACK", &events, "pending", id]).await;
    }
    world.raw.call(&["XDEL", &events, "101-0"]).await;
    assert_eq!(faults(&world).await.len(), 1);

    world.redis.streams().forget("lifecycle-events", Position(101)).await.expect("let go");
    assert_eq!(relay(&world, LAST).await, 0, "it is told from the beginning");
    assert_eq!(faults(&world).await, []);
    assert_told(&world, 1..=LAST).await;
    let after = |position: u64| {
        let place = move |id: &&String| id.split('-').next().and_then(|p| p.parse().ok()) > Some(position);
        all.iter().filter(place).cloned().collect::<Vec<_>>()
    };
    assert_eq!(given(&world, "ahead").await, after(100));
    assert_eq!(given(&world, "behind").await, after(41));
    assert_eq!(given(&world, "pending").await, after(22));
    assert_eq!(world.redis.publisher().top().await.expect("the top"), Position(LAST));
}

#[tokio::test]
async fn only_outbound_streams_are_let_go() {
    let world = World::fresh().await;
    let refused = world.redis.streams().forget("campaign-events", Position(1)).await;
    port_contracts::fixtures::assert_refused(refused);
}
