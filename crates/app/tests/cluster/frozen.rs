//! An instance that is frozen and goes on: it commits nothing that is not its own any more, and is handed no event that
//! comes before what others have dealt with.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;
use testkit::{Place, Plan, until};

use crate::fleet::Fleet;
use crate::lives::{Lives, check_streams};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_instance_delays_little_and_doubles_nothing_when_it_wakes_up() {
    let fleet = Fleet::start(3).await;
    let mut lives = Lives::new(10);
    fleet.produce(&mut lives, Duration::from_secs(1)).await;
    // Whoever relays is in the middle of something.
    let frozen = fleet.holder("relay").await;
    fleet.instances[frozen].signal(Signal::STOP);
    let awake = &fleet.instances[(frozen + 1) % 3];
    let until = Instant::now() + Duration::from_secs(8);
    while Instant::now() < until {
        lives.produce(&awake.admin()).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    fleet.instances[frozen].signal(Signal::CONT);
    fleet.produce(&mut lives, Duration::from_secs(1)).await;
    let worst = lives.check(&awake.admin()).await;
    println!("{} lives, the latest step was {worst} ms late", lives.count());
    // It may hold locks for as long as the database lets a silent transaction live.
    assert!(worst <= 6_000, "a step was {worst} ms late");
    check_streams(&fleet.place).await;
    fleet.finish().await;
}

/// Tells of a campaign's `n`th update, as another service does.
fn update(place: &Place, campaign: &str, n: u32) {
    let data = json!({ "campaignId": campaign, "changes": { "metadata": { "n": n } } }).to_string();
    let fields = [
        "*",
        "eventId",
        &format!("{campaign}-{n}"),
        "eventType",
        "campaign.updated",
        "timestamp",
        "2026-11-27T00:00:00Z",
        "source",
        "main-api",
        "data",
        &data,
    ];
    place.redis_command("XADD", "campaign-events", &fields);
}

/// It was so once: who was frozen while it waited for events was handed the next one when it woke up, and applied it after
/// later ones that somebody else had applied meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_word_stays_the_last_when_a_frozen_consumer_wakes_up() {
    const CAMPAIGNS: [&str; 3] = ["one", "two", "three"];
    let fleet = Fleet::start(2).await;
    for id in CAMPAIGNS {
        fleet.instances[0].admin().create(Plan::later(id).body()).await;
    }
    let mut n = 0;
    for _ in 0..3 {
        let frozen = fleet.holder("events").await;
        // It waits for the next event, most probably, and is frozen before it comes.
        tokio::time::sleep(Duration::from_millis(200)).await;
        fleet.instances[frozen].signal(Signal::STOP);
        let until = Instant::now() + Duration::from_secs(4);
        while Instant::now() < until {
            n += 1;
            for id in CAMPAIGNS {
                update(&fleet.place, id, n);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // Nothing comes behind: whatever is applied last stays.
        fleet.instances[frozen].signal(Signal::CONT);
        until_all_are_at(&fleet, &CAMPAIGNS, n).await;
    }
    // Neither is it undone by what was under way.
    tokio::time::sleep(Duration::from_secs(1)).await;
    until_all_are_at(&fleet, &CAMPAIGNS, n).await;
    fleet.finish().await;
}

async fn until_all_are_at(fleet: &Fleet, campaigns: &[&str], n: u32) {
    until("every event is dealt with", async || {
        let pending = fleet.place.redis_command("XINFO|GROUPS", "campaign-events", &[]);
        (pending[0]["pending"] == 0 && pending[0]["lag"] == 0).then_some(())
    })
    .await;
    for instance in &fleet.instances {
        for id in campaigns {
            let campaign = instance.admin().campaign(id).await;
            assert_eq!(campaign["metadata"], json!({ "n": n }), "{id} is not as its last event says");
        }
    }
}
