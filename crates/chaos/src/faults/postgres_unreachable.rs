//! The way to PostgreSQL swallows what is sent, both ways or only the answers, or is slow.

use std::time::Duration;

use anyhow::Result;
use testkit::Mode;

use super::{Fault, USUAL};
use crate::interrupt::{pause, wait};
use crate::scene::Scene;

/// How long it may take until an instance says that it is not ready.
const NOTICED: Duration = Duration::from_secs(10);

pub(super) const BOTH_WAYS: Fault = Fault {
    number: 15,
    name: "postgres-blackholed",
    what: "nothing passes between instances and PostgreSQL, and no connection is closed",
    strike: |scene| blackhole(scene, Mode::Blackhole),
    limits: USUAL,
    needs: None,
};

pub(super) const ANSWERS: Fault = Fault {
    number: 16,
    name: "postgres-half-open",
    what: "requests reach PostgreSQL, answers do not come back, and no connection is closed",
    strike: |scene| blackhole(scene, Mode::BlackholeDown),
    limits: USUAL,
    needs: None,
};

pub(super) const SLOW: Fault = Fault {
    number: 17,
    name: "postgres-far-away",
    what: "200 ms for each round trip to PostgreSQL",
    strike: slow,
    limits: USUAL,
    needs: None,
};

fn blackhole(scene: &mut Scene<'_>, mode: Mode) -> Result<()> {
    scene.rig.postgres_links(mode);
    let noticed =
        wait(scene.profile.patience(NOTICED), || !scene.rig.instances.iter().any(crate::rig::Instance::is_ready));
    let lasted = noticed.and_then(|noticed| {
        pause(scene.profile.fault.saturating_sub(noticed.unwrap_or(NOTICED)))?;
        Ok(noticed)
    });
    scene.rig.postgres_links(Mode::Pass);
    let noticed = lasted?;
    scene.in_time(noticed, NOTICED, format!("an instance still says after {NOTICED:?} that it is ready"));
    scene.note(format!("noticed after {noticed:.1?}"));
    Ok(())
}

fn slow(scene: &mut Scene<'_>) -> Result<()> {
    scene.rig.postgres_links(Mode::Latency(Duration::from_millis(100)));
    let lasted = scene.last();
    scene.rig.postgres_links(Mode::Pass);
    lasted
}
