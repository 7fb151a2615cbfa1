//! Sessions of the service are terminated again and again, whatever they are at.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Fault, Limits, USUAL};
use crate::interrupt::pause;
use crate::scene::Scene;

const ONE: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
                   AND backend_type = 'client backend' ORDER BY random() LIMIT 1";

pub(super) const FAULT: Fault = Fault {
    number: 11,
    name: "backends-terminated",
    what: "pg_terminate_backend of a session by chance, five times a second",
    strike,
    limits: Limits { served_percent: Some(50), ..USUAL },
    needs: None,
};

fn strike(scene: &mut Scene<'_>) -> Result<()> {
    let end = Instant::now() + scene.profile.fault;
    while Instant::now() < end {
        scene.rig.sql(ONE)?;
        pause(Duration::from_millis(180))?;
    }
    Ok(())
}
