//! A panic in every loop of the service: it goes on within a second, or the process ends.

use std::time::{Duration, Instant};

use failpoints::Point;
use serde_json::Value;
use testkit::{Answer, Entry, Live, PATIENCE, Plan, Role, Token, until};

use crate::rig::{Rig, Wiring};

/// How soon a loop is back: the promise, and what a busy machine may add.
const BACK_WITHIN: Duration = Duration::from_secs(2);

/// A loop, and the point that it passes.
type Loop = (Point, &'static str);

const IN_BOTH: [Loop; 7] = [
    (Point::TimersRound, "timers"),
    (Point::RelayRound, "relay"),
    (Point::ConsumerRound, "events"),
    (Point::LiveRound, "live"),
    (Point::HousekeepingRound, "housekeeping"),
    (Point::MaintenanceRound, "maintenance"),
    (Point::PresenceRound, "presence"),
];

const ON_SERVERS: [Loop; 3] =
    [(Point::FeedRound, "feed"), (Point::MarksRound, "redis marks"), (Point::EarsRound, "redis hints")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_that_panics_is_back_within_a_second_and_nothing_is_lost_on_servers() {
    every_loop(Wiring::Servers, &[&IN_BOTH[..], &ON_SERVERS].concat()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_that_panics_is_back_within_a_second_and_nothing_is_lost_in_the_file() {
    every_loop(Wiring::Embedded, &IN_BOTH).await;
}

/// After each panic everything still works: a command is answered, an event has its effect, a timer fires, and a live client,
/// connected before all of it, is shown each step.
async fn every_loop(wiring: Wiring, loops: &[Loop]) {
    let rig = Rig::start(wiring).await;
    let api = rig.api();
    let token = Token::of(&[Role::Admin]).mint();
    let mut live = Live::open(&rig.service, Entry::Header(&token)).await;
    live.subscribe("tenant", None).await;
    for (point, name) in loops {
        rig.arm(*point, "panic");
        let (by_command, by_event) = (format!("c-{}", point.name()), format!("e-{}", point.name()));
        api.create(Plan::quick(&by_command, 0.1, 3_600.0).body()).await;
        api.event(&by_event, "campaign.created", Plan::later(&by_event).body()).await.expect(202);
        until("somebody comes to the point", async || (!rig.is_armed()).then_some(())).await;
        let panicked = Instant::now();
        until("it is started again", async || {
            let metrics = api.get("/metrics").await;
            metrics.text.contains(&format!("lifecycle_task_restarts_total{{task=\"{name}\"}} 1")).then_some(())
        })
        .await;
        api.until_status(&by_event, "CREATED").await;
        api.until_status(&by_command, "RUNNING").await;
        let mut missing = vec![(&by_command, "CREATED"), (&by_command, "RUNNING"), (&by_event, "CREATED")];
        let shown = live.until(|frame| {
            missing.retain(|(id, status)| !shows(frame, id, status));
            missing.is_empty()
        });
        tokio::time::timeout(PATIENCE, shown)
            .await
            .unwrap_or_else(|_| panic!("after the panic of {name} not all is shown"));
        let took = panicked.elapsed();
        println!("{name}: everything went on after {took:?}");
        assert!(took < BACK_WITHIN, "{name} was away for {took:?}");
    }
    assert_eq!(api.get("/readyz").await.status, 200);
    drop(live);
    stops_in_order(rig, loops.len()).await;
}

fn shows(frame: &Value, id: &str, status: &str) -> bool {
    frame["data"]["campaignId"] == id && (frame["data"]["toStatus"] == status || frame["data"]["status"] == status)
}

/// As every scenario ends, but for the panics in its log.
async fn stops_in_order(mut rig: Rig, panics: usize) {
    rig.settle().await;
    let (status, _) = rig.service.stop().await;
    assert!(status.success(), "it ended with {status}:\n{}", rig.service.log());
    rig.service.verify().await.is_clean();
    assert_eq!(rig.service.log().matches("panicked at").count(), panics, "each once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_that_cannot_be_kept_running_ends_the_process_in_order() {
    for wiring in [Wiring::Embedded, Wiring::Servers] {
        let mut rig = Rig::start(wiring).await;
        rig.arm(Point::RelayRound, "panic always");
        let status = rig.service.ended().await;
        assert!(status.code().is_some_and(|code| code != 0), "{status}");
        assert!(rig.service.log().contains("cannot be kept running"), "{}", rig.service.log());
        rig.service.verify().await.is_clean();
    }
}

/// Sends a create, the same one each time.
async fn create(rig: &Rig, plan: &Plan) -> Answer {
    rig.api().call("POST", "/api/v1/campaigns").header("idempotency-key", "k").json(plan.body()).send().await
}

/// Commands in the queue would never be answered: there is no second worker that could take its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_of_the_command_worker_ends_the_process() {
    for wiring in [Wiring::Embedded, Wiring::Servers] {
        let (mut rig, plan) = (Rig::start(wiring).await, Plan::later("spring"));
        rig.arm(Point::CommandTaken, "panic");
        create(&rig, &plan).await.expect(503);
        let status = rig.service.ended().await;
        assert!(status.code().is_some_and(|code| code != 0), "{status}");
        rig.launch().await;
        let again = create(&rig, &plan).await;
        again.expect(201);
        assert_eq!(again.header("idempotency-replayed"), None, "it was not done");
        assert_eq!(rig.api().path_of("spring").await, ["CREATED"]);
    }
}

/// It was told as a refusal, although everything was written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_behind_the_commit_is_no_refusal() {
    let rig = Rig::start(Wiring::Servers).await;
    rig.arm(Point::StoreCommitted, "panic");
    create(&rig, &Plan::later("spring")).await.expect(201);
    assert!(!rig.is_armed());
    assert_eq!(rig.api().path_of("spring").await, ["CREATED"]);
    stops_in_order(rig, 1).await;
}

/// The process went on without it: every command failed, until somebody started it again by hand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_of_the_thread_that_writes_the_file_ends_the_process() {
    let (mut rig, plan) = (Rig::start(Wiring::Embedded).await, Plan::later("spring"));
    rig.arm(Point::StoreCommitted, "panic");
    create(&rig, &plan).await.expect(503);
    let status = rig.service.ended().await;
    assert!(status.code().is_some_and(|code| code != 0), "{status}");
    rig.launch().await;
    let again = create(&rig, &plan).await;
    again.expect(201);
    assert_eq!(again.header("idempotency-replayed"), Some("true"), "it was committed");
    assert_eq!(rig.api().path_of("spring").await, ["CREATED"]);
}
