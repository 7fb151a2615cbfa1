//! A crash at every step of a timer's firing.

use failpoints::Point;
use testkit::{Plan, millis_of};

use crate::found::Found;
use crate::rig::{Rig, Wiring, path};

/// Before it fired: the create, told long ago, with its START and its EXPIRE.
const ARMED: Found = Found { log: 1, answers: Some(0), timers: 2, told: Some(1), ..Found::NOTHING };

/// After: the start, not told, with its CLOSE and its EXPIRE.
const STARTED: Found = Found { log: 2, ..ARMED };

const TABLE: [(Point, Found); 5] = [
    (Point::TimersRound, ARMED),
    (Point::StoreLogWritten, ARMED),
    (Point::StoreBeforeCommit, ARMED),
    (Point::StoreCommitted, STARTED),
    (Point::TimersFired, STARTED.perhaps_told()),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timer_fires_once_wherever_its_firing_is_cut_off_on_servers() {
    every_point(Wiring::Servers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timer_fires_once_wherever_its_firing_is_cut_off_in_the_file() {
    every_point(Wiring::Embedded).await;
}

async fn every_point(wiring: Wiring) {
    let mut rig = Rig::start(wiring).await;
    for (point, expected) in TABLE.into_iter().filter(|(point, _)| wiring.has(*point)) {
        let id = format!("at-{}", point.name().replace('_', "-"));
        rig.api().create(Plan::quick(&id, 0.7, 3_600.0).body()).await;
        rig.settle().await;
        rig.arm(point, "abort");
        rig.dies(point).await;
        rig.found(&id).await.is(expected, point.name());
        rig.launch().await;
        rig.api().until_status(&id, "RUNNING").await;
        let transitions = rig.api().transitions(&id).await;
        assert_eq!(path(&transitions), ["CREATED", "RUNNING"], "{}", point.name());
        let (due, at) = (millis_of(&transitions[1]["scheduledFor"]), millis_of(&transitions[1]["occurredAt"]));
        assert!(at >= due, "it was early: {}", transitions[1]);
    }
    rig.finish().await;
}
