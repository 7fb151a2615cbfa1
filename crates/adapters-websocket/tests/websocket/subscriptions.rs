//! What subscribers see: a snapshot with its cursor, then every frame once and in order, and nothing of others.

use domain::TenantId;
use lifecycle_adapters_websocket::HubSettings;
use serde_json::{Value, json};

use crate::support::{Client, OPERATOR, OWNER, Server, VIEWER, position};

async fn server() -> Server {
    Server::start(HubSettings::default()).await
}

async fn subscribe(client: &mut Client, channel: &str) -> Value {
    client.send(json!({"action": "subscribe", "channel": channel, "id": 7})).await;
    client.next().await
}

#[tokio::test]
async fn a_campaigns_snapshot_comes_with_the_cursor_it_was_read_at() {
    let server = server().await;
    let key = server.world.add_campaign("acme", "c-1", None);
    server.world.change(&key);
    server.world.change(&key);
    let mut client = server.connect(VIEWER).await;
    let frame = subscribe(&mut client, "campaign:c-1").await;
    assert_eq!(frame["event"], "subscribed", "{frame}");
    assert_eq!(frame["channel"], "campaign:c-1");
    assert_eq!(frame["id"], 7, "{frame}");
    assert_eq!(frame["data"]["campaign"]["campaignId"], "c-1", "{frame}");
    assert_eq!(frame["data"]["campaign"]["version"], 3, "{frame}");
    assert_eq!(position(&frame), 2);
}

#[tokio::test]
async fn owners_tenants_and_the_system_have_snapshots_too() {
    let server = server().await;
    let key = server.world.add_campaign("acme", "c-1", Some("o-1"));
    server.world.add_campaign("acme", "c-2", None);
    server.world.add_campaign("other", "c-3", None);
    server.world.change(&key);
    let mut client = server.connect(OPERATOR).await;
    for (channel, count) in [("owner:o-1", 1), ("tenant", 2)] {
        let frame = subscribe(&mut client, channel).await;
        assert_eq!(frame["data"]["counts"]["RUNNING"], count, "{frame}");
        assert_eq!(position(&frame), 1);
    }
    let frame = subscribe(&mut client, "system").await;
    assert_eq!(frame["data"]["overdue"], 0, "{frame}");
}

#[tokio::test]
async fn frames_come_live_in_order_with_rising_cursors() {
    let server = server().await;
    let key = server.world.add_campaign("acme", "c-1", None);
    let (mut client, _) = server.subscribed(VIEWER, "campaign:c-1").await;
    for expected in 1..=50 {
        assert_eq!(server.world.change(&key).0, expected);
    }
    for expected in 1..=50 {
        let frame = client.expect("campaign.status.updated").await;
        assert_eq!(position(&frame), expected);
        assert_eq!(frame["channel"], "campaign:c-1");
        assert!(frame["timestamp"].is_string() && frame["data"].is_object(), "{frame}");
    }
}

#[tokio::test]
async fn overlapping_channels_bring_a_frame_once_each() {
    let server = server().await;
    let key = server.world.add_campaign("acme", "c-1", Some("o-1"));
    let mut client = server.connect(VIEWER).await;
    for channel in ["campaign:c-1", "owner:o-1", "tenant"] {
        assert_eq!(subscribe(&mut client, channel).await["event"], "subscribed");
    }
    server.world.change(&key);
    let mut channels = Vec::new();
    for _ in 0..3 {
        let frame = client.expect("campaign.status.updated").await;
        assert_eq!(position(&frame), 1);
        channels.push(frame["channel"].as_str().expect("a channel").to_owned());
    }
    channels.sort();
    assert_eq!(channels, ["campaign:c-1", "owner:o-1", "tenant"]);
}

#[tokio::test]
async fn a_snapshot_ahead_of_the_published_feed_is_not_repeated_by_it() {
    let server = server().await;
    let key = server.world.add_campaign("acme", "c-1", None);
    server.world.commit(&key);
    server.world.commit(&key);
    let (mut client, subscribed) = server.subscribed(VIEWER, "campaign:c-1").await;
    assert_eq!(position(&subscribed), 2);
    server.world.publish();
    server.world.change(&key);
    assert_eq!(position(&client.expect("campaign.status.updated").await), 3);
}

#[tokio::test]
async fn after_unsubscribe_nothing_comes() {
    let server = server().await;
    let (one, marker) =
        (server.world.add_campaign("acme", "c-1", None), server.world.add_campaign("acme", "c-2", None));
    let (mut client, _) = server.subscribed(VIEWER, "campaign:c-1").await;
    subscribe(&mut client, "campaign:c-2").await;
    client.send(json!({"action": "unsubscribe", "channel": "campaign:c-1", "id": 8})).await;
    let frame = client.expect("unsubscribed").await;
    assert_eq!(frame["id"], 8, "{frame}");
    server.world.change(&one);
    server.world.change(&marker);
    assert_eq!(client.next().await["channel"], "campaign:c-2");
    client.send(json!({"action": "unsubscribe", "channel": "campaign:c-1"})).await;
    client.expect_error("not_subscribed").await;
}

#[tokio::test]
async fn several_tabs_of_one_person_are_independent() {
    let server = server().await;
    let key = server.world.add_campaign("acme", "c-1", None);
    let (mut first, _) = server.subscribed(VIEWER, "campaign:c-1").await;
    let (mut second, _) = server.subscribed(VIEWER, "tenant").await;
    let mut third = server.connect(VIEWER).await;
    server.world.change(&key);
    assert_eq!(first.next().await["channel"], "campaign:c-1");
    assert_eq!(second.next().await["channel"], "tenant");
    drop(first);
    server.world.change(&key);
    assert_eq!(position(&second.next().await), 2);
    third.expect_silence().await;
}

#[tokio::test]
async fn nothing_of_another_tenant_is_ever_seen() {
    let server = server().await;
    let foreign = server.world.add_campaign("other", "c-1", Some("o-1"));
    let own = server.world.add_campaign("acme", "c-2", None);
    let mut client = server.connect(OPERATOR).await;
    assert_eq!(subscribe(&mut client, "campaign:c-1").await["data"]["code"], "not_found");
    for channel in ["owner:o-1", "tenant", "system"] {
        assert_eq!(subscribe(&mut client, channel).await["event"], "subscribed");
    }
    server.world.change(&foreign);
    server.world.commit_notice(&foreign.tenant, "dead_letter.discarded");
    server.world.change(&own);
    assert_eq!(position(&client.next().await), 3);
    server.world.commit_notice(&TenantId::service(), "instance.started");
    server.world.publish();
    let frame = client.next().await;
    assert_eq!((position(&frame), &frame["channel"]), (4, &json!("system")));

    let mut again = server.connect(OPERATOR).await;
    again.send(json!({"action": "subscribe", "channel": "system", "since": "0-0"})).await;
    again.expect("subscribed").await;
    assert_eq!(position(&again.expect("system.alert").await), 4);
    again.expect("recovered").await;
}

#[tokio::test]
async fn a_viewer_of_an_owner_cannot_tell_foreign_campaigns_from_unknown_ones() {
    let server = server().await;
    server.world.add_campaign("acme", "own", Some("o-1"));
    server.world.add_campaign("acme", "foreign", Some("o-2"));
    server.world.add_campaign("acme", "nobodys", None);
    let mut client = server.connect(OWNER).await;
    assert_eq!(subscribe(&mut client, "campaign:own").await["event"], "subscribed");
    assert_eq!(subscribe(&mut client, "owner:o-1").await["event"], "subscribed");
    let mut unknown = subscribe(&mut client, "campaign:unknown").await;
    for name in ["campaign:foreign", "campaign:nobodys"] {
        for since in [None, Some("0-0")] {
            client.send(json!({"action": "subscribe", "channel": name, "since": since, "id": 7})).await;
            let frame = client.expect_error("not_found").await;
            assert_eq!(frame["data"], unknown["data"].take(), "{frame}");
            unknown["data"] = frame["data"].clone();
        }
    }
    for name in ["owner:o-2", "tenant", "system"] {
        assert_eq!(subscribe(&mut client, name).await["data"]["code"], "forbidden", "{name}");
    }
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_told_and_the_connection_stays() {
    let server = server().await;
    let key = server.world.add_campaign("acme", "c-1", None);
    let mut client = server.connect(VIEWER).await;
    server.world.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(subscribe(&mut client, "campaign:c-1").await["data"]["code"], "unavailable");
    server.world.broken.store(false, std::sync::atomic::Ordering::SeqCst);
    server.world.change(&key);
    assert_eq!(subscribe(&mut client, "campaign:c-1").await["event"], "subscribed");
}
