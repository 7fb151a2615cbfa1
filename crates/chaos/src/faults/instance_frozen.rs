//! The instance that consumes and publishes is frozen in the middle of it, and goes on later.

use std::time::Duration;

use anyhow::Result;
use rustix::process::Signal;

use super::{Fault, Limits, USUAL};
use crate::interrupt::pause;
use crate::scene::Scene;

/// Longer than its leases and its sessions live without it: others take over, and it comes back to what is not its own.
const LEAST: Duration = Duration::from_secs(8);

pub(super) const FAULT: Fault = Fault {
    number: 3,
    name: "instance-frozen",
    what: "SIGSTOP of the instance that holds the lease of the relay, then SIGCONT",
    strike,
    limits: Limits { timers: Some(Duration::from_secs(5)), ..USUAL },
    needs: None,
};

fn strike(scene: &mut Scene<'_>) -> Result<()> {
    let frozen = scene.holder("relay")?;
    scene.rig.instances[frozen].signal(Signal::STOP)?;
    let lasted = pause(scene.profile.fault.max(LEAST));
    scene.rig.instances[frozen].signal(Signal::CONT)?;
    lasted
}
