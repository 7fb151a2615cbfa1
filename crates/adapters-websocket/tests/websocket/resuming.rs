//! Coming back: nothing missed, nothing twice, and an honest word when that cannot be had.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::CampaignKey;
use lifecycle_adapters_websocket::HubSettings;
use ports::journal::Position;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::fakes::World;
use crate::support::{Client, Server, VIEWER, position};

async fn server() -> Server {
    Server::start(HubSettings::default()).await
}

async fn resume(client: &mut Client, channel: &str, since: &str) {
    client.send(json!({"action": "subscribe", "channel": channel, "since": since, "id": 3})).await;
}

/// The frames of events until `recovered`, and that frame.
async fn replayed(client: &mut Client) -> (Vec<Value>, Value) {
    let subscribed = client.expect("subscribed").await;
    assert_eq!(subscribed["id"], 3, "{subscribed}");
    let mut frames = Vec::new();
    loop {
        let frame = client.next().await;
        if frame["event"] == "recovered" {
            return (frames, frame);
        }
        frames.push(frame);
    }
}

fn positions(frames: &[Value]) -> Vec<u64> {
    frames.iter().map(position).collect()
}

#[tokio::test]
async fn missed_frames_are_replayed_and_then_it_goes_on_live() {
    let server = server().await;
    let key = server.world.add_campaign("acme", "c-1", None);
    let other = server.world.add_campaign("acme", "c-2", None);
    let (mut client, _) = server.subscribed(VIEWER, "campaign:c-1").await;
    server.world.change(&key);
    let last = client.next().await["cursor"].as_str().expect("a cursor").to_owned();
    drop(client);
    for _ in 0..3 {
        server.world.change(&other);
        server.world.change(&key);
    }
    let mut client = server.connect(VIEWER).await;
    resume(&mut client, "campaign:c-1", &last).await;
    let (frames, recovered) = replayed(&mut client).await;
    assert_eq!(positions(&frames), [3, 5, 7]);
    assert_eq!(recovered["data"]["recovered"], true, "{recovered}");
    assert_eq!(recovered["id"], 3, "{recovered}");
    assert_eq!(position(&recovered), 7);
    server.world.change(&key);
    assert_eq!(position(&client.next().await), 8);
}

#[tokio::test]
async fn in_the_middle_of_a_records_frames_the_rest_of_them_follows() {
    let server = server().await;
    let key = server.world.add_campaign("acme", "c-1", None);
    server.world.commit_arming(&key, 3);
    server.world.commit_arming(&key, 1);
    server.world.publish();
    let mut client = server.connect(VIEWER).await;
    resume(&mut client, "campaign:c-1", "1-1").await;
    let (frames, _) = replayed(&mut client).await;
    let cursors: Vec<&str> = frames.iter().map(|frame| frame["cursor"].as_str().expect("a cursor")).collect();
    assert_eq!(cursors, ["1-2", "1-3", "2-0", "2-1"]);
}

#[tokio::test]
async fn a_snapshots_cursor_can_be_resumed_from() {
    let server = server().await;
    let key = server.world.add_campaign("acme", "c-1", None);
    server.world.change(&key);
    let (client, subscribed) = server.subscribed(VIEWER, "tenant").await;
    let cursor = subscribed["cursor"].as_str().expect("a cursor").to_owned();
    drop(client);
    server.world.change(&key);
    let mut client = server.connect(VIEWER).await;
    resume(&mut client, "tenant", &cursor).await;
    let (frames, recovered) = replayed(&mut client).await;
    assert_eq!(positions(&frames), [2]);
    assert_eq!(recovered["data"]["recovered"], true);
}

#[tokio::test]
async fn a_cursor_ahead_of_the_feed_but_not_of_the_journal_is_good() {
    let server = server().await;
    let key = server.world.add_campaign("acme", "c-1", None);
    server.world.commit(&key);
    let (client, subscribed) = server.subscribed(VIEWER, "tenant").await;
    let cursor = subscribed["cursor"].as_str().expect("a cursor").to_owned();
    drop(client);
    let mut client = server.connect(VIEWER).await;
    resume(&mut client, "tenant", &cursor).await;
    let (frames, recovered) = replayed(&mut client).await;
    assert!(frames.is_empty());
    assert_eq!(recovered["data"]["recovered"], true);
    server.world.publish();
    server.world.change(&key);
    assert_eq!(position(&client.next().await), 2);
}

#[tokio::test]
async fn when_the_feed_does_not_reach_back_a_snapshot_is_given_instead() {
    let server = server().await;
    let key = server.world.add_campaign("acme", "c-1", None);
    for _ in 0..10 {
        server.world.change(&key);
    }
    server.world.trim(Position(5));
    for (since, good) in [("1-0", false), ("4-0", false), ("6-0", true), ("11-0", false), ("99999-0", false)] {
        let mut client = server.connect(VIEWER).await;
        resume(&mut client, "campaign:c-1", since).await;
        let (_, recovered) = replayed(&mut client).await;
        assert_eq!(recovered["data"]["recovered"], good, "{since}: {recovered}");
        assert_eq!(
            recovered["data"]["snapshot"]["campaign"]["campaignId"],
            if good { Value::Null } else { json!("c-1") }
        );
        assert_eq!(position(&recovered), 10);
    }
}

#[tokio::test]
async fn too_much_to_replay_becomes_a_snapshot() {
    let server = Server::start(HubSettings { resume_limit: 20, ..HubSettings::default() }).await;
    let key = server.world.add_campaign("acme", "c-1", None);
    for _ in 0..21 {
        server.world.change(&key);
    }
    for (since, recovers) in [("2-0", true), ("0-0", false)] {
        let mut client = server.connect(VIEWER).await;
        resume(&mut client, "tenant", since).await;
        let (_, recovered) = replayed(&mut client).await;
        assert_eq!(recovered["data"]["recovered"], recovers, "{since}");
        server.world.change(&key);
        client.expect("campaign.status.updated").await;
        server.world.trim(Position::START);
    }
}

#[tokio::test]
async fn a_cursor_that_is_none_is_refused() {
    let server = server().await;
    let mut client = server.connect(VIEWER).await;
    for since in ["", "x", "1", "1-", "-1", "1-2-3", "1-99999999999999999999"] {
        resume(&mut client, "tenant", since).await;
        client.expect_error("invalid_cursor").await;
    }
}

/// Changes campaigns as fast as it can, until told to stop.
fn traffic(world: &Arc<World>, keys: Vec<CampaignKey>, stop: CancellationToken) -> std::thread::JoinHandle<()> {
    let world = Arc::clone(world);
    std::thread::spawn(move || {
        for round in 0.. {
            for (nth, key) in keys.iter().enumerate() {
                world.commit(key);
                if (round + nth) % 3 == 0 {
                    world.publish();
                }
            }
            if stop.is_cancelled() {
                world.publish();
                return;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    })
}

/// Follows `channel`, breaking off and resuming now and then; checks that the campaign sequences it sees have neither
/// hole nor repeat.
async fn follow(server: &Server, channel: &str, breaks: usize) {
    let (mut client, subscribed) = server.subscribed(VIEWER, channel).await;
    let mut cursor = subscribed["cursor"].as_str().expect("a cursor").to_owned();
    let mut sequences: HashMap<String, u64> = HashMap::new();
    for round in 0..breaks {
        let mut left = 5 + (round * 37) % 90;
        while left > 0 {
            let frame = client.next().await;
            match frame["event"].as_str() {
                Some("subscribed") => continue,
                Some("recovered") => {
                    assert_eq!(frame["data"]["recovered"], true, "{frame}");
                    continue;
                }
                _ => {}
            }
            let id = frame["data"]["campaignId"].as_str().expect("a campaign").to_owned();
            let sequence = frame["data"]["sequence"].as_u64().expect("a sequence");
            if let Some(last) = sequences.insert(id, sequence) {
                assert_eq!(sequence, last + 1, "after {cursor}: {frame}");
            }
            frame["cursor"].as_str().expect("a cursor").clone_into(&mut cursor);
            left -= 1;
        }
        client = server.connect(VIEWER).await;
        resume(&mut client, channel, &cursor).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resuming_while_others_publish_has_no_hole_and_no_repeat() {
    let server = server().await;
    let mut keys: Vec<CampaignKey> =
        (0..4).map(|n| server.world.add_campaign("acme", &format!("c-{n}"), Some("o-1"))).collect();
    keys.push(server.world.add_campaign("other", "c-x", None));
    let stop = CancellationToken::new();
    let publisher = traffic(&server.world, keys, stop.clone());
    tokio::join!(follow(&server, "tenant", 40), follow(&server, "owner:o-1", 40), follow(&server, "campaign:c-2", 15),);
    stop.cancel();
    publisher.join().expect("the publisher ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_frame_after_a_snapshot_is_the_one_that_follows_it() {
    let server = server().await;
    let key = server.world.add_campaign("acme", "c-1", None);
    let stop = CancellationToken::new();
    let publisher = traffic(&server.world, vec![key], stop.clone());
    for _ in 0..40 {
        let (mut client, subscribed) = server.subscribed(VIEWER, "campaign:c-1").await;
        let version = subscribed["data"]["campaign"]["version"].as_u64().expect("a version");
        for expected in version + 1..version + 4 {
            assert_eq!(client.next().await["data"]["sequence"], expected);
        }
    }
    stop.cancel();
    publisher.join().expect("the publisher ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_at_once_than_the_queue_holds_arrives_whole_and_in_order() {
    // The queue overflows, and so does the live feed: both holes are read back.
    for (queue_bytes, buffer) in [(4_000, 100_000), (100_000_000, 4), (4_000, 4)] {
        let settings = HubSettings { queue_bytes, ..HubSettings::default() };
        let server = Server::over(World::new(buffer), settings).await;
        let key = server.world.add_campaign("acme", "c-1", None);
        let (mut client, _) = server.subscribed(VIEWER, "tenant").await;
        let (mut narrow, _) = server.subscribed(VIEWER, "campaign:c-1").await;
        for _ in 0..2_000 {
            server.world.commit_arming(&key, 2);
        }
        server.world.publish();
        for expected in (1..=2_000).flat_map(|position| (0..3).map(move |k| format!("{position}-{k}"))) {
            assert_eq!(client.next().await["cursor"], expected);
            assert_eq!(narrow.next().await["cursor"], expected);
        }
        assert!(server.world.reads.load(Ordering::SeqCst) > 0, "the test made no hole");
        server.world.change(&key);
        assert_eq!(position(&client.next().await), 2_001);
        assert_eq!(position(&narrow.next().await), 2_001);
    }
}
