//! Redis loses everything: killed and started empty, and flushed. The streams are filled again with the same ids.

use std::time::Duration;

use anyhow::Result;

use super::{Fault, Limits, USUAL};
use crate::interrupt::pause;
use crate::scene::Scene;

pub(super) const FAULT: Fault = Fault {
    number: 30,
    name: "redis-wiped",
    what: "kill -9 of Redis, a start without any data, and a FLUSHALL later on",
    strike,
    limits: Limits { heal: Duration::from_secs(30), loses_inbound: true, ..USUAL },
    needs: None,
};

fn strike(scene: &mut Scene<'_>) -> Result<()> {
    scene.rig.redis().kill();
    pause(Duration::from_secs(1))?;
    scene.rig.redis().start_again_empty();
    pause(scene.profile.fault.saturating_sub(Duration::from_secs(1)))?;
    scene.rig.redis().try_cli(&["FLUSHALL"]).map(drop)
}
