//! One instance is led to a server that only reads, as an old primary is that came back.

use anyhow::Result;

use super::{Fault, Limits, USUAL};
use crate::scene::Scene;

pub(super) const FAULT: Fault = Fault {
    number: 21,
    name: "standby-as-primary",
    what: "one instance is led to the standby, which refuses to write, and back again",
    strike,
    limits: Limits { served_percent: Some(40), ..USUAL },
    needs: None,
};

fn strike(scene: &mut Scene<'_>) -> Result<()> {
    let victim = scene.chance.below(scene.rig.instances.len());
    scene.rig.lead_to_standby(victim);
    let lasted = scene.last();
    let refuses = !scene.rig.instances[victim].is_ready();
    scene.rig.lead_to_primary(victim);
    lasted?;
    scene.expect(refuses, format!("instance {victim} says that it is ready on a server that only reads"));
    Ok(())
}
