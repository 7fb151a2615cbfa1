//! Somebody takes the inbound stream apart: its group, entries that wait, all of it.

use anyhow::Result;

use super::{Fault, Limits, USUAL};
use crate::interrupt::pause;
use crate::scene::Scene;

const STREAM: &str = "campaign-events";

pub(super) const FAULT: Fault = Fault {
    number: 35,
    name: "inbound-destroyed",
    what: "XGROUP DESTROY, XTRIM of what is pending, and DEL of the inbound stream, one after the other",
    strike,
    limits: Limits { loses_inbound: true, ..USUAL },
    needs: None,
};

fn strike(scene: &mut Scene<'_>) -> Result<()> {
    let part = scene.profile.fault / 3;
    for command in
        [&["XGROUP", "DESTROY", STREAM, "lifecycle-service"][..], &["XTRIM", STREAM, "MAXLEN", "0"], &["DEL", STREAM]]
    {
        scene.rig.redis().try_cli(command)?;
        pause(part)?;
    }
    Ok(())
}
