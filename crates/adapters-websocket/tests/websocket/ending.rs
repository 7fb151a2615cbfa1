//! How connections end: too slow, dead, or because the service stops.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lifecycle_adapters_websocket::HubSettings;
use serde_json::json;
use tokio_tungstenite::tungstenite::Error;

use crate::support::{PATIENCE, Server, VIEWER, position};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stops_reading_is_closed_with_4008_while_others_go_on() {
    // Longer than a busy machine keeps a client from reading that wants to.
    let limit = Duration::from_secs(3);
    let settings =
        HubSettings { send_limit: limit, slow_limit: limit, close_limit: PATIENCE, ..HubSettings::default() };
    let server = Server::start(settings).await;
    let key = server.world.add_campaign("acme", "c-1", None);
    let (mut slow, _) = server.subscribed(VIEWER, "tenant").await;
    let (mut fast, _) = server.subscribed(VIEWER, "tenant").await;
    // More than the socket buffers of this machine hold.
    let frames = 60_000;
    let world = Arc::clone(&server.world);
    let publisher = std::thread::spawn(move || {
        for _ in 0..frames / 100 {
            for _ in 0..100 {
                world.commit(&key);
            }
            world.publish();
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    for expected in 1..=frames {
        assert_eq!(position(&fast.next().await), expected);
    }
    publisher.join().expect("the publisher ends");
    // Let the send limit pass: only now does the slow client read again.
    tokio::time::sleep(limit + Duration::from_millis(100)).await;
    let (seen, code, reason) = slow.until_closed().await;
    assert_eq!(code, 4008);
    assert!((seen.len() as u64) < frames, "it was told everything");
    let cursor = reason.split_once("cursor=").expect("a cursor").1.to_owned();
    let last = position(seen.last().expect("it saw something"));
    let told: u64 = cursor.split_once('-').expect("a cursor").0.parse().expect("a position");
    assert!(told <= last && last <= told + 1, "it saw {last} and is told {told}");

    let mut again = server.connect(VIEWER).await;
    again
        .send(json!({"action": "subscribe", "channel": "tenant", "since": seen.last().expect("seen")["cursor"]}))
        .await;
    again.expect("subscribed").await;
    assert_eq!(position(&again.next().await), last + 1);
}

#[tokio::test]
async fn a_client_that_gives_no_sign_of_life_is_closed() {
    let settings = HubSettings { ping_interval: Duration::from_millis(100), ..HubSettings::default() };
    let server = Server::start(settings).await;
    let mut alive = server.connect(VIEWER).await;
    let mut dead = server.connect(VIEWER).await;
    // The client library answers pings only while it reads.
    let reading = tokio::time::timeout(Duration::from_millis(800), alive.next_or_close());
    assert!(reading.await.is_err(), "the living one was closed");
    assert_eq!(dead.close_code().await, 1001);
    alive.expect_silence().await;
}

#[tokio::test]
async fn a_client_that_leaves_is_forgotten() {
    let server = Server::start(HubSettings::default()).await;
    let (mut polite, _) = server.subscribed(VIEWER, "tenant").await;
    let (rude, _) = server.subscribed(VIEWER, "tenant").await;
    assert_eq!(server.hub.connections(), 2);
    polite.socket().close(None).await.expect("closes");
    drop(rude);
    let began = Instant::now();
    while server.hub.connections() > 0 {
        assert!(began.elapsed() < PATIENCE, "connections leak");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn at_the_end_everybody_is_told_to_reconnect_after_a_while_of_their_own() {
    let server = Server::start(HubSettings::default()).await;
    let key = server.world.add_campaign("acme", "c-1", None);
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(server.subscribed(VIEWER, "tenant").await.0);
    }
    let (mut silent, _) = server.connect_with(&[]).await.expect("a handshake");
    server.world.change(&key);
    for client in &mut clients {
        client.expect("campaign.status.updated").await;
    }
    let hub = Arc::clone(&server.hub);
    let closing = tokio::spawn(async move { hub.close_all(PATIENCE).await });
    let mut waits = std::collections::BTreeSet::new();
    for client in &mut clients {
        let (_, code, reason) = client.until_closed().await;
        assert_eq!(code, 1012);
        assert!(reason.contains("cursor=1-"), "{reason}");
        let millis = reason.split_once("reconnect in ").expect("a hint").1.split_once(" ms").expect("a unit").0;
        waits.insert(millis.parse::<u64>().expect("a number"));
    }
    assert_eq!(silent.close_code().await, 1012);
    assert_eq!(closing.await.expect("closes"), 0);
    assert!(waits.len() == 20 && waits.iter().all(|wait| *wait <= 5_000), "{waits:?}");
    assert!(waits.last().expect("some") - waits.first().expect("some") > 2_500, "{waits:?}");

    let Err(Error::Http(refused)) = server.connect_with(&[]).await.map(|_| ()) else { panic!("was let in") };
    assert_eq!(refused.status(), 503);
}

#[tokio::test]
async fn closing_takes_no_longer_than_it_may_even_if_a_client_does_not_listen() {
    let server = Server::start(HubSettings { close_limit: PATIENCE, ..HubSettings::default() }).await;
    let (_deaf, _) = server.subscribed(VIEWER, "tenant").await;
    let began = Instant::now();
    assert_eq!(server.hub.close_all(Duration::from_millis(200)).await, 1);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(server.hub.connections(), 0);
}
