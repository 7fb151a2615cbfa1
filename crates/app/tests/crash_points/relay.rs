//! A crash at every step of telling the world.

use failpoints::Point;
use serde_json::{Value, json};
use testkit::Plan;

use crate::found::Found;
use crate::rig::{Rig, Wiring};

const CREATED: Found = Found { log: 1, answers: Some(1), timers: 2, ..Found::NOTHING };

const TABLE: [(Point, Found); 3] = [
    (Point::RelayRound, CREATED),
    (Point::RelayBeforePublish, CREATED),
    (Point::RelayPublished, Found { told: Some(1), ..CREATED }),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_is_told_once_wherever_the_telling_is_cut_off_on_servers() {
    every_point(Wiring::Servers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_is_told_once_wherever_the_telling_is_cut_off_in_the_file() {
    every_point(Wiring::Embedded).await;
}

async fn every_point(wiring: Wiring) {
    let mut rig = Rig::start(wiring).await;
    for (point, expected) in TABLE {
        let id = format!("at-{}", point.name().replace('_', "-"));
        let mut create = rig.api().call("POST", "/api/v1/campaigns").header("idempotency-key", &id);
        create = create.json(Plan::later(&id).body());
        if point == Point::RelayRound {
            // It also comes by itself, each second: with the create or before it.
            create.try_send().await.expect("answered").expect(201);
            rig.arm(point, "abort");
            rig.dies(point).await;
            rig.found(&id).await.is(expected.perhaps_told(), point.name());
        } else {
            rig.arm(point, "abort");
            let _ = create.try_send().await;
            rig.dies(point).await;
            rig.found(&id).await.is(expected, point.name());
        }
        rig.launch().await;
        assert_eq!(rig.api().path_of(&id).await, ["CREATED"], "{}", point.name());
    }
    rig.finish().await;
}

/// More than goes into one step of a publication.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publication_that_was_cut_off_between_its_steps_goes_on_where_it_was() {
    let mut rig = Rig::start(Wiring::Servers).await;
    let bodies: Vec<Value> = (0..300).map(|n| Plan::later(&format!("c-{n:03}")).body().clone()).collect();
    rig.arm(Point::PublisherPartTold, "abort");
    let call = rig.api().call("POST", "/api/v1/campaigns/batch").header("idempotency-key", "all");
    let _ = call.json(&json!({ "campaigns": bodies })).try_send().await;
    rig.dies(Point::PublisherPartTold).await;
    let place = rig.service.place();
    let logged = place.psql("SELECT count(*) FROM journal WHERE campaign IS NOT NULL");
    let of_campaigns = place.psql("SELECT min(position) FROM journal WHERE campaign IS NOT NULL");
    let first: u64 = of_campaigns.trim().parse().expect("a position");
    let told = place.entry_ids("lifecycle-events").iter().filter(|id| id.0 >= first).count();
    assert_eq!((logged.trim(), told), ("300", 256), "as many as one step has");
    rig.launch().await;
    rig.finish().await;
}
