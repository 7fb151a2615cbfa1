//! Several instances: the others take over from one that is killed, a cursor of one is good at any other, and they see each
//! other. That kills under load lose and double nothing is row 1 of `cargo xtask chaos`.

use std::time::{Duration, Instant};

use serde_json::json;
use testkit::{Entry, Live, Plan, Role, Token, until};

use crate::fleet::Fleet;

/// What an instance had taken from the stream and not finished is finished by another one within five seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_instance_consumes_on_within_five_seconds_of_a_kill() {
    let mut fleet = Fleet::start(2).await;
    let mut worst = Duration::ZERO;
    for round in 0..3 {
        let consumer = fleet.holder("events").await;
        let other = 1 - consumer;
        let killed = Instant::now();
        fleet.instances[consumer].kill().await;
        let api = fleet.instances[other].admin();
        let id = format!("late-{round}");
        api.event(&format!("e-{round}"), "campaign.created", Plan::later(&id).body()).await.expect(202);
        until("the event is consumed", async || {
            (api.get(&format!("/api/v1/campaigns/{id}")).await.status == 200).then_some(())
        })
        .await;
        worst = worst.max(killed.elapsed());
        fleet.instances[consumer].launch().await;
    }
    assert!(worst < Duration::from_secs(5), "taking over took {worst:?}");
    fleet.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timers_go_on_within_a_second_of_a_kill() {
    let mut fleet = Fleet::start(2).await;
    let bodies: Vec<_> =
        (0..200).map(|n| Plan::quick(&format!("t-{n}"), 1.0 + f64::from(n) / 50.0, 3_600.0).body().clone()).collect();
    fleet.instances[0].admin().post("/api/v1/campaigns/batch", &json!({ "campaigns": bodies })).await.expect(200);
    tokio::time::sleep(Duration::from_secs(2)).await;
    fleet.instances[0].kill().await;
    let api = fleet.instances[1].admin();
    api.until_status("t-199", "RUNNING").await;
    let late = "SELECT max(extract(epoch FROM completed_at - due_at)) FROM timers WHERE kind = 'START_CAMPAIGN'";
    let late: f64 = fleet.place.psql(late).trim().parse().expect("seconds");
    assert!(late <= 1.0, "a timer was {late} s late");
    fleet.instances[0].launch().await;
    fleet.finish().await;
}

/// A client that saw a step on one instance, resumes on another, and reads on a third.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_of_one_instance_is_resumed_on_any_other() {
    let fleet = Fleet::start(3).await;
    let token = Token::of(&[Role::Admin]).mint();
    let mut live = Live::open(&fleet.instances[0], Entry::Header(&token)).await;
    live.subscribe("tenant", None).await;
    fleet.instances[1].admin().create(Plan::later("first").body()).await;
    let seen = live.until(|frame| frame["data"]["campaignId"] == "first").await;
    let cursor = seen.last().expect("a frame")["cursor"].as_str().expect("a cursor").to_owned();
    drop(live);
    fleet.instances[2].admin().create(Plan::later("second").body()).await;
    fleet.instances[0].admin().move_to("second", "RUNNING").await.expect(200);
    let mut live = Live::open(&fleet.instances[1], Entry::Header(&token)).await;
    live.say(&json!({ "action": "subscribe", "channel": "tenant", "since": cursor, "id": 1 })).await;
    let frames = live.until(|frame| frame["data"]["toStatus"] == "RUNNING").await;
    let lost = frames.iter().find(|frame| frame["event"] == "recovered" && frame["data"]["recovered"] == false);
    assert_eq!(lost, None);
    assert!(frames.iter().any(|frame| frame["data"]["campaignId"] == "second"), "{frames:#?}");
    let campaign = fleet.instances[1].admin().campaign("second").await;
    assert_eq!(campaign["status"], "RUNNING", "who heard of a step reads it everywhere");
    fleet.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_instance_sees_the_others() {
    let mut fleet = Fleet::start(3).await;
    let api = fleet.instances[0].admin();
    let count = async || api.get("/api/v1/system").await.expect(200)["instances"].as_array().map(Vec::len);
    until("all three are seen", async || (count().await == Some(3)).then_some(())).await;
    fleet.instances[2].stop().await;
    until("who stopped is not seen any more", async || (count().await == Some(2)).then_some(())).await;
    fleet.instances[1].kill().await;
    until("who was killed is not seen any more", async || (count().await == Some(1)).then_some(())).await;
    fleet.instances[1].launch().await;
    fleet.instances[2].launch().await;
    fleet.finish().await;
}
