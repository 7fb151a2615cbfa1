//! A crash at every step of an event's way: from the stream to its acknowledgement.

use failpoints::Point;
use serde_json::{Value, json};
use testkit::{Plan, until};

use crate::found::Found;
use crate::rig::{Rig, Wiring};

/// Handed out, and nothing done.
const PENDING: Found = Found { unacknowledged: 1, ..Found::NOTHING };

/// Committed, and not acknowledged.
const CREATED: Found = Found { log: 1, answers: Some(1), timers: 2, ..PENDING };

const TABLE: [(Point, Found); 6] = [
    (Point::ConsumerTaken, PENDING),
    (Point::StoreBeforeCommit, PENDING),
    (Point::StoreCommitted, CREATED),
    (Point::CommandCommitted, CREATED.perhaps_told()),
    (Point::ConsumerBeforeAcknowledge, CREATED.perhaps_told()),
    (Point::ConsumerAcknowledged, Found { unacknowledged: 0, ..CREATED }.perhaps_told()),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_was_accepted_has_its_effect_once_wherever_it_is_cut_off_on_servers() {
    every_point(Wiring::Servers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_was_accepted_has_its_effect_once_wherever_it_is_cut_off_in_the_file() {
    every_point(Wiring::Embedded).await;
}

async fn every_point(wiring: Wiring) {
    let mut rig = Rig::start(wiring).await;
    for (point, expected) in TABLE {
        let id = format!("at-{}", point.name().replace('_', "-"));
        let event = event("campaign.created", &id);
        rig.arm(point, "abort");
        // The answer may be cut off with all the rest; then the sender does not know, and sends again.
        let accepted = send(&rig, &event).await;
        rig.dies(point).await;
        rig.found(&id).await.is(expected, point.name());
        rig.launch().await;
        if !accepted {
            assert!(send(&rig, &event).await, "it runs");
        }
        rig.api().until_status(&id, "CREATED").await;
        all_acknowledged(&rig).await;
        // A repetition meets the inbox.
        assert!(send(&rig, &event).await, "it runs");
        all_acknowledged(&rig).await;
        assert_eq!(rig.api().path_of(&id).await, ["CREATED"], "{}", point.name());
        assert_eq!(rig.api().all("/api/v1/dlq?state=open").await, [] as [Value; 0]);
    }
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_cannot_be_processed_becomes_one_dead_letter_wherever_it_is_cut_off_on_servers() {
    every_point_of_a_letter(Wiring::Servers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_cannot_be_processed_becomes_one_dead_letter_wherever_it_is_cut_off_in_the_file() {
    every_point_of_a_letter(Wiring::Embedded).await;
}

async fn every_point_of_a_letter(wiring: Wiring) {
    let table = [
        (Point::ConsumerTaken, PENDING),
        (Point::ConsumerLettersKept, Found { letters: 1, ..PENDING }),
        (Point::ConsumerBeforeAcknowledge, Found { letters: 1, ..PENDING }),
        (Point::ConsumerAcknowledged, Found { letters: 1, ..Found::NOTHING }),
    ];
    let mut rig = Rig::start(wiring).await;
    for (point, expected) in table {
        let id = format!("at-{}", point.name().replace('_', "-"));
        rig.arm(point, "abort");
        send(&rig, &event("campaign.exploded", &id)).await;
        rig.dies(point).await;
        rig.found(&id).await.is(expected, point.name());
        rig.launch().await;
        let letters = until("the letter is there", async || {
            let letters = rig.api().all("/api/v1/dlq?state=open").await;
            (!letters.is_empty()).then_some(letters)
        })
        .await;
        all_acknowledged(&rig).await;
        assert_eq!(letters.len(), 1, "{}: {letters:?}", point.name());
        let letter = letters[0]["id"].as_str().expect("an id");
        let discard = rig.api().call("DELETE", &format!("/api/v1/dlq/{letter}"));
        discard.json(&json!({ "reason": "seen" })).send().await.expect(200);
    }
    rig.finish().await;
}

/// An event about the campaign called `id`.
fn event(kind: &str, id: &str) -> Value {
    let data = Plan::later(id).body().clone();
    json!({ "eventId": format!("of-{id}"), "eventType": kind, "source": "scenario", "data": data })
}

/// Hands an event in; answers whether it was accepted.
async fn send(rig: &Rig, event: &Value) -> bool {
    let answer = rig.api().call("POST", "/api/v1/events").json(event).try_send().await;
    answer.is_ok_and(|answer| answer.status == 202)
}

async fn all_acknowledged(rig: &Rig) {
    let api = rig.api();
    until("all events are dealt with", async || {
        let system = api.get("/api/v1/system").await.expect(200);
        system["oldestUnread"].is_null().then_some(())
    })
    .await;
}
