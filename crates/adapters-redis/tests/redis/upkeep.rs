//! Trimming and forgetting.

use std::time::Duration;

use ports::feed::Publisher as _;
use ports::inbound::Inbound as _;
use ports::journal::Position;

use crate::support::{World, event, records};

async fn no_history() -> World {
    let mut world = World::fresh().await;
    world.settings.inbound_history = Duration::ZERO;
    world.settings.dead_letter_history = Duration::ZERO;
    world.reopen().await;
    world
}

#[tokio::test]
async fn inbound_entries_go_when_all_groups_have_dealt_with_them_and_not_before() {
    let world = no_history().await;
    let (inbound, trimmer, stream) = (world.redis.inbound(), world.redis.trimmer(), world.key("campaign-events"));
    let appended = inbound.append((0..1_000).map(|n| event(&format!("e-{n}"))).collect()).await.expect("appending");
    assert_eq!(trimmer.trim_inbound().await.expect("trimming"), 0, "nothing was read");
    let mut got = Vec::new();
    while got.len() < 1_000 {
        got.extend(inbound.fetch("one", 1, 500, Duration::ZERO).await.expect("fetching"));
    }
    assert_eq!(trimmer.trim_inbound().await.expect("trimming"), 0, "all is pending");
    let done: Vec<_> = appended.iter().filter(|id| **id != appended[450]).cloned().collect();
    inbound.acknowledge(1, &done).await.expect("acknowledging");
    world.raw.call(&["XGROUP", "CREATE", &stream, "others", "0"]).await;
    assert_eq!(trimmer.trim_inbound().await.expect("trimming"), 0, "the others have read nothing");
    world.raw.call(&["XGROUP", "SETID", &stream, "others", "$"]).await;
    // Only whole nodes go, of a hundred entries or fewer.
    let gone = trimmer.trim_inbound().await.expect("trimming");
    assert!((350..=450).contains(&gone), "{gone} are gone");
    assert!(world.ids("campaign-events").await.contains(&appended[450].0));
    inbound.acknowledge(1, &appended[450..=450]).await.expect("acknowledging");
    world.raw.call(&["XGROUP", "DESTROY", &stream, "lifecycle-service"]).await;
    assert_eq!(trimmer.trim_inbound().await.expect("trimming"), 0, "without our group nobody knows what was read");
}

#[tokio::test]
async fn a_history_is_kept() {
    let world = World::fresh().await;
    let inbound = world.redis.inbound();
    let ids = inbound.append((0..300).map(|n| event(&format!("e-{n}"))).collect()).await.expect("appending");
    inbound.fetch("one", 1, 300, Duration::ZERO).await.expect("fetching");
    inbound.acknowledge(1, &ids).await.expect("acknowledging");
    assert_eq!(world.redis.trimmer().trim_inbound().await.expect("trimming"), 0);
    assert_eq!(world.ids("campaign-events").await.len(), 300);
}

#[tokio::test]
async fn outbound_entries_go_unless_a_group_needs_them() {
    let world = World::fresh().await;
    let (publisher, trimmer) = (world.redis.publisher(), world.redis.trimmer());
    publisher.publish(records(1..=1_000)).await.expect("publishing");
    world.raw.call(&["XGROUP", "CREATE", &world.key("lifecycle-events"), "readers", "301-0"]).await;
    assert!(trimmer.trim_outbound(Position(900)).await.expect("trimming") > 0);
    let left = |ids: Vec<String>| ids[0].split('-').next().and_then(|p| p.parse::<u64>().ok()).expect("a position");
    let kept = left(world.ids("lifecycle-events").await);
    assert!(kept <= 301, "{kept} is the first that is left for the readers");
    let shown = left(world.ids("notification-events").await);
    assert!((700..=901).contains(&shown), "{shown}");
    assert_eq!(publisher.top().await.expect("the top"), Position(1_000), "what was trimmed was told");
}

#[tokio::test]
async fn only_consumers_that_hold_nothing_and_are_long_gone_are_forgotten() {
    let world = World::fresh().await;
    let (inbound, stream) = (world.redis.inbound(), world.key("campaign-events"));
    inbound.append(vec![event("e-1")]).await.expect("appending");
    inbound.fetch("holds", 1, 10, Duration::ZERO).await.expect("fetching");
    inbound.fetch("idle", 1, 10, Duration::ZERO).await.expect("fetching");
    // Nobody can wait an hour here: both were seen just now, so both are kept.
    assert_eq!(world.redis.trimmer().forget_idle_consumers().await.expect("forgetting"), 0);
    world.raw.call(&["XGROUP", "DESTROY", &stream, "lifecycle-service"]).await;
    assert_eq!(world.redis.trimmer().forget_idle_consumers().await.expect("no group, nobody to forget"), 0);
}
