//! An instance that is frozen for 20 s and goes on: it commits nothing that is not its own any more.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::fleet::Fleet;
use crate::lives::{Lives, check_streams};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_instance_delays_little_and_doubles_nothing_when_it_wakes_up() {
    let fleet = Fleet::start(3).await;
    let mut lives = Lives::new(10);
    fleet.produce(&mut lives, Duration::from_secs(2)).await;
    // Whoever relays is in the middle of something.
    let frozen = fleet.holder("relay").await;
    fleet.instances[frozen].signal(Signal::STOP);
    let awake = &fleet.instances[(frozen + 1) % 3];
    let until = Instant::now() + Duration::from_secs(20);
    while Instant::now() < until {
        lives.produce(&awake.admin()).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    fleet.instances[frozen].signal(Signal::CONT);
    fleet.produce(&mut lives, Duration::from_secs(2)).await;
    let worst = lives.check(&awake.admin()).await;
    println!("{} lives, the latest step was {worst} ms late", lives.count());
    // It may hold locks for as long as the database lets a silent transaction live.
    assert!(worst <= 6_000, "a step was {worst} ms late");
    check_streams(&fleet.place).await;
    fleet.finish().await;
}
