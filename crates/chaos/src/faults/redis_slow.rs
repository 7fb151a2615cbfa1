//! Redis answers late. Calls over HTTP hardly feel it: whoever waited in vain for the limit of calls, or for the cache, has
//! waited for those who come next.

use std::time::{Duration, Instant};

use anyhow::Result;
use testkit::Mode;

use super::{Fault, USUAL};
use crate::interrupt::pause;
use crate::scene::Scene;

pub(super) const FAULT: Fault = Fault {
    number: 33,
    name: "redis-slow",
    what: "300 ms for each round trip to Redis, and CLIENT PAUSE 3000 ALL each 5 s",
    strike,
    limits: USUAL,
    needs: None,
};

fn strike(scene: &mut Scene<'_>) -> Result<()> {
    scene.rig.redis_links(Mode::Latency(Duration::from_millis(150)));
    let paused = pauses(scene);
    scene.rig.redis_links(Mode::Pass);
    paused
}

fn pauses(scene: &Scene<'_>) -> Result<()> {
    let end = Instant::now() + scene.profile.fault;
    while Instant::now() < end {
        scene.rig.redis().try_cli(&["CLIENT", "PAUSE", "3000", "ALL"])?;
        pause(Duration::from_secs(5))?;
    }
    Ok(())
}
