//! Redis may evict keys: the service refuses to start on it.

use std::time::Duration;

use anyhow::Result;

use super::{Fault, USUAL};
use crate::interrupt::wait;
use crate::scene::Scene;

/// How long it may take to refuse.
const REFUSED: Duration = Duration::from_secs(10);

pub(super) const FAULT: Fault = Fault {
    number: 36,
    name: "redis-evicts",
    what: "CONFIG SET maxmemory-policy allkeys-lru; an instance is stopped, and refuses to start until it is set back",
    strike,
    limits: USUAL,
    needs: None,
};

fn strike(scene: &mut Scene<'_>) -> Result<()> {
    let policy = |policy| ["CONFIG", "SET", "maxmemory-policy", policy];
    scene.rig.redis().try_cli(&policy("allkeys-lru"))?;
    let patience = scene.profile.patience(REFUSED);
    let instance = &mut scene.rig.instances[0];
    instance.stop()?;
    instance.spawn()?;
    let refused = wait(patience, || !instance.is_there())?;
    let told = instance.log();
    if refused.is_some() {
        instance.bury()?;
    } else {
        instance.kill()?;
    }
    scene.rig.redis().try_cli(&policy("noeviction"))?;
    scene.rig.instances[0].start()?;
    scene.in_time(refused, REFUSED, format!("it starts on a Redis that evicts, within {REFUSED:?}"));
    scene.expect(told.contains("maxmemory-policy"), "it does not say why it refuses to start");
    Ok(())
}
