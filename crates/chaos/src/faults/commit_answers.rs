//! The answer to a commit is lost, or comes late: nobody knows then whether it is done, and yet everybody finds out.

use std::time::Duration;

use anyhow::Result;
use testkit::Mode;

use super::{Fault, USUAL};
use crate::scene::Scene;

/// Of a hundred.
const LOST: u8 = 20;

/// Longer than a commit may take.
const LATE: Duration = Duration::from_secs(10);

pub(super) const LOSES: Fault = Fault {
    number: 12,
    name: "commit-answers-lost",
    what: "of 20 % of all commits the answer is dropped after the server has committed, and the connection reset",
    strike: |scene| strike(scene, Mode::LoseCommits(LOST)),
    limits: USUAL,
    needs: None,
};

pub(super) const DELAYS: Fault = Fault {
    number: 13,
    name: "commit-answers-late",
    what: "the answer to every commit is held back for 10 s",
    strike: |scene| strike(scene, Mode::HoldCommits(LATE)),
    limits: USUAL,
    needs: None,
};

fn strike(scene: &mut Scene<'_>, mode: Mode) -> Result<()> {
    let count = |scene: &Scene<'_>| scene.rig.instances.iter().map(|instance| instance.postgres.commits()).sum::<u64>();
    let before = count(scene);
    scene.rig.postgres_links(mode);
    let lasted = scene.last();
    scene.rig.postgres_links(Mode::Pass);
    lasted?;
    let hit = count(scene) - before;
    scene.expect(hit > 0, "no commit was hit");
    scene.note(format!("{hit} commits hit"));
    Ok(())
}
