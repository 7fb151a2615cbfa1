//! Redis has no memory left and refuses to take anything.

use anyhow::Result;

use super::{Fault, USUAL};
use crate::scene::Scene;

pub(super) const FAULT: Fault = Fault {
    number: 34,
    name: "redis-full",
    what: "CONFIG SET maxmemory 1mb: entries are refused, reading goes on; lifted again",
    strike,
    limits: USUAL,
    needs: None,
};

fn strike(scene: &mut Scene<'_>) -> Result<()> {
    scene.rig.redis().try_cli(&["CONFIG", "SET", "maxmemory", "1mb"])?;
    let lasted = scene.last();
    scene.rig.redis().try_cli(&["CONFIG", "SET", "maxmemory", "0"])?;
    lasted
}
