//! Redis' replica takes over without the last seconds of the primary, which comes back as its replica.

use std::time::Duration;

use anyhow::Result;
use testkit::Mode;

use super::{Fault, Limits, USUAL};
use crate::interrupt::pause;
use crate::scene::Scene;

pub(super) const FAULT: Fault = Fault {
    number: 31,
    name: "redis-failover",
    what: "the replica hears nothing for 3 s, is promoted, and the old primary, to which all are connected, becomes its replica",
    strike,
    limits: Limits { loses_inbound: true, ruins: true, ..USUAL },
    needs: None,
};

fn strike(scene: &mut Scene<'_>) -> Result<()> {
    scene.rig.redis_replication.set(Mode::Blackhole);
    pause(Duration::from_secs(3))?;
    scene.rig.promote_redis()
}
