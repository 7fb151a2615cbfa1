//! Instances are stopped in order and started again, one after the other, under load.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{Fault, Limits, USUAL};
use crate::interrupt::{pause, wait};
use crate::scene::Scene;

/// How long a stop may take.
const DRAIN: Duration = Duration::from_secs(20);

pub(super) const FAULT: Fault = Fault {
    number: 7,
    name: "rolling-restart",
    what: "SIGTERM to one instance after the other; each is ready again before the next",
    strike,
    limits: Limits {
        timers: Some(Duration::from_secs(1)),
        commands: Some(Duration::from_secs(5)),
        served_percent: Some(80),
        ..USUAL
    },
    needs: None,
};

fn strike(scene: &mut Scene<'_>) -> Result<()> {
    for number in 0..scene.rig.instances.len() {
        let patience = scene.profile.patience(DRAIN);
        let instance = &mut scene.rig.instances[number];
        let took = instance.stop()?;
        instance.start()?;
        wait(patience, || instance.is_ready())?.context("it does not get ready again")?;
        scene.measure(took <= DRAIN, format!("stopping instance {number} took {took:?}"));
        // As long as whoever rolls out waits to see that all is well.
        pause(Duration::from_secs(1))?;
    }
    Ok(())
}
