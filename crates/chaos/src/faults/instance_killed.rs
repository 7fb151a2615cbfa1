//! An instance is killed again and again, and started again at once. The others take over.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Fault, Limits, USUAL};
use crate::interrupt::pause;
use crate::scene::Scene;

pub(super) const FAULT: Fault = Fault {
    number: 1,
    name: "instance-killed",
    what: "kill -9 of one of three instances each 0.5 to 3 s; it is started again at once",
    strike,
    limits: Limits { timers: Some(Duration::from_secs(1)), commands: Some(Duration::from_secs(5)), ..USUAL },
    needs: None,
};

fn strike(scene: &mut Scene<'_>) -> Result<()> {
    let end = Instant::now() + scene.profile.fault;
    let mut kills = 0;
    while Instant::now() < end {
        let victim = scene.chance.below(scene.rig.instances.len());
        let instance = &mut scene.rig.instances[victim];
        instance.kill()?;
        instance.start()?;
        kills += 1;
        pause(scene.chance.between(Duration::from_millis(500), Duration::from_secs(3)))?;
    }
    scene.note(format!("{kills} kills"));
    Ok(())
}
