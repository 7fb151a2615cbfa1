//! PostgreSQL dies, and its synchronous standby takes over.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{Fault, Limits, USUAL};
use crate::interrupt::{pause, wait};
use crate::scene::Scene;

pub(super) const FAULT: Fault = Fault {
    number: 18,
    name: "postgres-failover",
    what: "the primary is stopped (`immediate`), its synchronous standby is promoted, and the links lead there",
    strike,
    limits: Limits { heal: Duration::from_secs(15), ruins: true, ..USUAL },
    needs: None,
};

fn strike(scene: &mut Scene<'_>) -> Result<()> {
    make_synchronous(scene)?;
    pause(scene.profile.fault / 2)?;
    scene.rig.postgres().stop_immediate();
    pause(Duration::from_secs(1))?;
    scene.rig.promote_standby()
}

/// From now on no commit is answered before the standby has it.
pub(super) fn make_synchronous(scene: &Scene<'_>) -> Result<()> {
    scene.rig.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")?;
    scene.rig.sql("SELECT pg_reload_conf()")?;
    let waits = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync' AND replay_lsn IS NOT NULL";
    let is_synchronous = || scene.rig.sql(waits).is_ok_and(|count| count == "1");
    wait(scene.profile.patience(Duration::from_secs(10)), is_synchronous)?
        .context("the standby does not become synchronous")?;
    Ok(())
}
