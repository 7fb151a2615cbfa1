//! Servers that go and come back while three instances work: the service heals by itself within 5 s. That nothing is lost,
//! whatever happened to them, is asked by the rows 9 to 11 and 29 to 31 of `cargo xtask chaos`, one by one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use testkit::{Place, Plan, until};

use crate::BINARY;
use crate::fleet::Fleet;
use crate::lives::{Lives, check_streams};

/// How long healing may take.
const HEALED: Duration = Duration::from_secs(5);

/// Waits until all is well again: all are ready, and a new event makes it all the way.
async fn is_healed(fleet: &Fleet, event: &str) {
    let back = Instant::now();
    for instance in &fleet.instances {
        until("it is ready again", async || {
            let ready = instance.anonymous().call("GET", "/readyz").try_send().await;
            ready.is_ok_and(|answer| answer.status == 200).then_some(())
        })
        .await;
    }
    // In by the stream, out by the stream.
    let api = fleet.instances[0].admin();
    until("an event is taken", async || {
        let answer = api.event(event, "campaign.created", Plan::later(event).body()).await;
        (answer.status == 202).then_some(())
    })
    .await;
    let campaign = format!("/api/v1/campaigns/{event}");
    until("and consumed", async || (api.get(&campaign).await.status == 200).then_some(())).await;
    let head: u64 = fleet.place.psql("SELECT position FROM journal_head").trim().parse().expect("a position");
    until("and told", async || {
        let last = fleet.place.entry_ids("lifecycle-events").last().map_or(0, |(position, _)| *position);
        let timers = fleet.place.entry_ids("timer-events").last().map_or(0, |(position, _)| *position);
        (last.max(timers) >= head).then_some(())
    })
    .await;
    let healed = back.elapsed();
    println!("healed from \"{event}\" after {healed:?}");
    assert!(healed <= HEALED, "healing from \"{event}\" took {healed:?}");
    // It would live for hours, and is not asked for at the end.
    api.post(&format!("{campaign}/cancel"), &serde_json::json!({})).await.expect(200);
}

/// Redis is killed here and not stopped in order, so that its append-only file may lack the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_and_redis_go_without_ceremony_one_after_the_other_and_each_time_all_is_well_within_five_seconds() {
    let fleet = Fleet::start_at(Arc::new(Place::own(BINARY)), 3).await;
    let mut lives = Lives::new(5);
    fleet.produce(&mut lives, Duration::from_secs(1)).await;
    let before = lives.count();
    assert!(before > 0, "there was no load before");
    let place = &fleet.place;
    place.postgres().stop_immediate();
    tokio::time::sleep(Duration::from_secs(1)).await;
    place.postgres().start_again();
    is_healed(&fleet, "postgresql-crashed").await;
    place.redis().kill();
    tokio::time::sleep(Duration::from_secs(1)).await;
    place.redis().start_again();
    is_healed(&fleet, "redis-killed").await;
    fleet.produce(&mut lives, Duration::from_secs(1)).await;
    assert!(lives.count() > before, "nothing is created any more");
    lives.check(&fleet.instances[0].admin()).await;
    check_streams(&fleet.place).await;
    fleet.finish().await;
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
