//! The way to Redis: connections fall silent while new ones work, or nothing passes at all. Readers wait in Redis then.

use std::time::Duration;

use anyhow::Result;
use testkit::Mode;

use super::{Fault, USUAL};
use crate::interrupt::{pause, wait};
use crate::oracles::inbound_left;
use crate::scene::Scene;

/// How long it may take until a reader notices that its connection is dead.
const NOTICED: Duration = Duration::from_secs(5);

/// With fewer events left somebody reads.
const FEW: u64 = 30;

pub(super) const FAULT: Fault = Fault {
    number: 32,
    name: "redis-blackholed",
    what: "all connections to Redis fall silent, while new ones work; then nothing passes at all for the rest of the time",
    strike,
    limits: USUAL,
    needs: None,
};

fn strike(scene: &mut Scene<'_>) -> Result<()> {
    scene.rig.instances.iter().for_each(|instance| instance.redis.silence());
    // So that there are more than few, if nobody reads.
    pause(Duration::from_secs(2))?;
    let noticed = wait(scene.profile.patience(NOTICED), || inbound_left(scene.rig).is_ok_and(|left| left < FEW))?;
    scene.in_time(noticed, NOTICED, format!("nobody reads again {NOTICED:?} after connections have fallen silent"));
    scene.note(format!("read again {:?} after the silence", noticed.map(|noticed| noticed + Duration::from_secs(2))));
    scene.rig.redis_links(Mode::Blackhole);
    let lasted = pause(scene.profile.fault / 2);
    scene.rig.redis_links(Mode::Pass);
    lasted
}
