//! Redis is ended without a snapshot and started again with its append-only file.

use std::time::Duration;

use anyhow::Result;

use super::{Fault, USUAL};
use crate::interrupt::pause;
use crate::scene::Scene;

pub(super) const FAULT: Fault = Fault {
    number: 29,
    name: "redis-restarted",
    what: "Redis is stopped in order, is away, and is started again with its append-only file",
    strike,
    limits: USUAL,
    needs: None,
};

fn strike(scene: &mut Scene<'_>) -> Result<()> {
    scene.rig.redis().stop();
    pause(scene.profile.fault.min(Duration::from_secs(6)))?;
    scene.rig.redis().start_again();
    Ok(())
}
