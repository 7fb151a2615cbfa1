//! Redis answers late. Calls over HTTP feel it only as far as they wait for it: for the limit of calls, and for the cache.

use std::time::{Duration, Instant};

use anyhow::Result;
use testkit::Mode;

use super::{Fault, Limits, USUAL};
use crate::interrupt::pause;
use crate::scene::Scene;

/// `limit_wait` of a call (50 ms), and `cache_write_wait` (250 ms) of its commit and of the one before it, for which it
/// waits. Nothing remembers that the last one waited in vain.
const WAITS: Duration = Duration::from_millis(50 + 2 * 250);

pub(super) const FAULT: Fault = Fault {
    number: 33,
    name: "redis-slow",
    what: "300 ms for each round trip to Redis, and CLIENT PAUSE 3000 ALL each 5 s",
    strike,
    limits: Limits { http_slower: Some(WAITS), ..USUAL },
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
