//! All instances are killed at once, and started again later.

use anyhow::Result;

use super::{Fault, USUAL};
use crate::rig::Instance;
use crate::scene::Scene;

pub(super) const FAULT: Fault = Fault {
    number: 4,
    name: "instances-all-killed",
    what: "kill -9 of all three instances; they are started again when the time is over",
    strike,
    limits: USUAL,
    needs: None,
};

fn strike(scene: &mut Scene<'_>) -> Result<()> {
    scene.rig.instances.iter_mut().try_for_each(Instance::kill)?;
    scene.last()?;
    scene.rig.instances.iter_mut().try_for_each(Instance::spawn)?;
    scene.rig.instances.iter_mut().try_for_each(Instance::attach)
}
