//! A crash at every step of a command's way: from the queue to the answer.

use failpoints::Point;
use serde_json::Value;
use testkit::{Answer, Plan};

use crate::found::Found;
use crate::rig::{Rig, Wiring};

/// What there is of a create once it is committed: its record, its answer, its START and its EXPIRE.
const CREATED: Found = Found { log: 1, answers: Some(1), timers: 2, ..Found::NOTHING };

const TABLE: [(Point, Found); 7] = [
    (Point::CommandTaken, Found::NOTHING),
    (Point::StoreBegun, Found::NOTHING),
    (Point::StoreInboxWritten, Found::NOTHING),
    (Point::StoreLogWritten, Found::NOTHING),
    (Point::StoreBeforeCommit, Found::NOTHING),
    (Point::StoreCommitted, CREATED),
    (Point::CommandCommitted, CREATED.perhaps_told()),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_there_as_a_whole_or_not_at_all_and_its_repetition_makes_it_one_on_servers() {
    every_point(Wiring::Servers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_there_as_a_whole_or_not_at_all_and_its_repetition_makes_it_one_in_the_file() {
    every_point(Wiring::Embedded).await;
}

async fn every_point(wiring: Wiring) {
    let mut rig = Rig::start(wiring).await;
    for (point, expected) in TABLE.into_iter().filter(|(point, _)| wiring.has(*point)) {
        let id = format!("at-{}", point.name().replace('_', "-"));
        let plan = Plan::later(&id);
        rig.arm(point, "abort");
        let answer = create(&rig, &id, &plan).await;
        assert!(answer.is_none(), "{}: it was answered: {answer:?}", point.name());
        rig.dies(point).await;
        rig.found(&id).await.is(expected, point.name());
        rig.launch().await;
        let again = create(&rig, &id, &plan).await.expect("it runs");
        assert_eq!(again.expect(201)["version"], 1);
        let was_there = expected != Found::NOTHING;
        assert_eq!(again.header("idempotency-replayed") == Some("true"), was_there, "{}", point.name());
        assert_eq!(rig.api().path_of(&id).await, ["CREATED"], "{}", point.name());
    }
    rig.finish().await;
}

/// Sends a create with `id` as its key.
async fn create(rig: &Rig, id: &str, plan: &Plan) -> Option<Answer> {
    let body: &Value = plan.body();
    rig.api().call("POST", "/api/v1/campaigns").header("idempotency-key", id).json(body).try_send().await.ok()
}
