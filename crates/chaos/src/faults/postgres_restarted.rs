//! PostgreSQL is stopped and started again: in order, and without ceremony.

use std::time::Duration;

use anyhow::Result;

use super::{Fault, Limits, USUAL};
use crate::interrupt::pause;
use crate::scene::Scene;

/// How long it is away; the rest of the time the next restart may come.
const AWAY: Duration = Duration::from_secs(2);

const LIMITS: Limits = Limits { heal: Duration::from_secs(5), ..USUAL };

pub(super) const FAST: Fault = Fault {
    number: 9,
    name: "postgres-restarted",
    what: "PostgreSQL is stopped (`fast`), is away for 2 s, and is started again; twice",
    strike: |scene| strike(scene, |scene| scene.rig.postgres().stop_fast()),
    limits: LIMITS,
    needs: None,
};

pub(super) const IMMEDIATE: Fault = Fault {
    number: 10,
    name: "postgres-crashed",
    what: "PostgreSQL is stopped (`immediate`), is away for 2 s, and recovers from its log; twice",
    strike: |scene| strike(scene, |scene| scene.rig.postgres().stop_immediate()),
    limits: LIMITS,
    needs: None,
};

fn strike(scene: &mut Scene<'_>, stop: fn(&Scene<'_>)) -> Result<()> {
    stop(scene);
    pause(AWAY)?;
    scene.rig.postgres().start_again();
    pause(scene.profile.fault.saturating_sub(AWAY * 2))?;
    stop(scene);
    pause(AWAY)?;
    scene.rig.postgres().start_again();
    Ok(())
}
