//! The synchronous standby is out of reach, and somebody cancels the sessions that wait for it: PostgreSQL says then that
//! they have committed, and on the primary they have.

use std::time::{Duration, Instant};

use anyhow::Result;
use testkit::Mode;

use super::postgres_failover::make_synchronous;
use super::{Fault, USUAL};
use crate::interrupt::pause;
use crate::scene::Scene;

const CANCEL: &str = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";

pub(super) const FAULT: Fault = Fault {
    number: 20,
    name: "commit-wait-cancelled",
    what: "the synchronous standby is out of reach, and commits that wait for it are cancelled each 0.5 s",
    strike,
    limits: USUAL,
    needs: None,
};

fn strike(scene: &mut Scene<'_>) -> Result<()> {
    make_synchronous(scene)?;
    scene.rig.replication.set(Mode::Blackhole);
    let cancelled = cancel(scene);
    scene.rig.replication.set(Mode::Pass);
    scene.rig.sql("ALTER SYSTEM RESET synchronous_standby_names")?;
    scene.rig.sql("SELECT pg_reload_conf()")?;
    let cancelled = cancelled?;
    scene.expect(cancelled > 0, "nobody waited for the standby");
    scene.note(format!("{cancelled} waits cancelled"));
    Ok(())
}

fn cancel(scene: &Scene<'_>) -> Result<u64> {
    let (end, mut cancelled) = (Instant::now() + scene.profile.fault, 0);
    while Instant::now() < end {
        cancelled += scene.rig.number::<u64>(CANCEL)?;
        pause(Duration::from_millis(500))?;
    }
    Ok(cancelled)
}
