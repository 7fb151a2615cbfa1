//! Servers that go and come back while three instances work: the service heals by itself within 5 s, and nothing is lost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use testkit::{Place, Plan, until};

use crate::BINARY;
use crate::fleet::Fleet;
use crate::lives::{Lives, check_streams};

/// How long healing may take.
const HEALED: Duration = Duration::from_secs(5);

/// Lets `happen` happen under load, and checks that all is well again in time, and at the end.
async fn heals(happen: impl AsyncFnOnce(&Place)) {
    let fleet = Fleet::start_at(Arc::new(Place::own(BINARY)), 3).await;
    let mut lives = Lives::new(5);
    fleet.produce(&mut lives, Duration::from_secs(2)).await;
    let before = lives.count();
    assert!(before > 0, "there was no load before");
    happen(&fleet.place).await;
    let back = Instant::now();
    for instance in &fleet.instances {
        until("it is ready again", async || {
            let ready = instance.anonymous().call("GET", "/readyz").try_send().await;
            ready.is_ok_and(|answer| answer.status == 200).then_some(())
        })
        .await;
    }
    // A new event makes it all the way: in by the stream, out by the stream.
    let api = fleet.instances[0].admin();
    until("an event is taken", async || {
        let answer = api.event("after", "campaign.created", Plan::later("after").body()).await;
        (answer.status == 202).then_some(())
    })
    .await;
    until("and consumed", async || (api.get("/api/v1/campaigns/after").await.status == 200).then_some(())).await;
    let head: u64 = fleet.place.psql("SELECT position FROM journal_head").trim().parse().expect("a position");
    until("and told", async || {
        let last = fleet.place.entry_ids("lifecycle-events").last().map_or(0, |(position, _)| *position);
        let timers = fleet.place.entry_ids("timer-events").last().map_or(0, |(position, _)| *position);
        (last.max(timers) >= head).then_some(())
    })
    .await;
    let healed = back.elapsed();
    println!("healed after {healed:?}, {before} lives before");
    assert!(healed <= HEALED, "healing took {healed:?}");
    fleet.produce(&mut lives, Duration::from_secs(1)).await;
    assert!(lives.count() > before, "nothing is created any more");
    // The later one lives for hours, and is not asked for at the end.
    api.post("/api/v1/campaigns/after/cancel", &serde_json::json!({})).await.expect(200);
    lives.check(&api).await;
    check_streams(&fleet.place).await;
    fleet.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_killed_and_comes_back_with_its_append_only_file() {
    heals(async |place| {
        place.redis().kill();
        tokio::time::sleep(Duration::from_secs(2)).await;
        place.redis().start_again();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_comes_back_empty_and_is_refilled_with_the_same_ids() {
    heals(async |place| {
        place.redis().kill();
        tokio::time::sleep(Duration::from_secs(1)).await;
        place.redis().start_again_empty();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_flushed_under_load() {
    heals(async |place| drop(place.redis().cli(&["FLUSHALL"]))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_is_restarted_in_order() {
    heals(async |place| {
        place.postgres().stop_fast();
        tokio::time::sleep(Duration::from_secs(1)).await;
        place.postgres().start_again();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_is_stopped_without_ceremony_and_recovers() {
    heals(async |place| {
        place.postgres().stop_immediate();
        tokio::time::sleep(Duration::from_secs(1)).await;
        place.postgres().start_again();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backends_are_killed_again_and_again() {
    heals(async |place| {
        for _ in 0..25 {
            let others = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
                          AND backend_type = 'client backend'";
            place.psql(others);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
    .await;
}

/// A database from an older backup, with streams that tell of what is not in it any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_are_ahead_of_the_database_are_refused_until_they_are_made_anew() {
    let fleet = Fleet::start(1).await;
    let api = fleet.instances[0].admin();
    for id in ["a", "b", "c"] {
        api.create(Plan::later(id).body()).await;
    }
    check_streams(&fleet.place).await;
    let Fleet { place, mut instances } = fleet;
    let mut service = instances.remove(0);
    service.stop().await;
    // As a restored backup would look, but for the campaigns, which are of no interest here.
    place.psql(
        "WITH old AS (SELECT position, hash, at FROM journal WHERE position = 2) \
         UPDATE journal_head SET position = old.position, hash = old.hash, at = old.at FROM old; \
         DELETE FROM journal WHERE position > 2; DELETE FROM timers; DELETE FROM inbox; DELETE FROM campaigns",
    );
    let refused = service.run("serve", &[]).await;
    assert_eq!(refused.code, Some(69), "{refused:?}");
    assert!(refused.messages.contains("lifecycle replay --streams"), "{}", refused.messages);
    let replayed = service.run("replay", &["--streams"]).await;
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    service.launch().await;
    service.admin().create(Plan::later("d").body()).await;
    check_streams(&place).await;
    service.finish().await;
}
