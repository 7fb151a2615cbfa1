//! PostgreSQL fails over to a standby that had not received the last commits: they are gone, and nobody may be told otherwise.
//! The service notices that the world knows more than the log, tells nothing more, and starts again only after a person has
//! had the streams made anew.

use std::time::Duration;

use anyhow::{Result, bail};
use testkit::Mode;

use super::{Fault, Limits, USUAL};
use crate::interrupt::{pause, wait};
use crate::rig::{Instance, Rig};
use crate::scene::Scene;

/// How long each step may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the service calls the way out.
const WAY_OUT: &str = "lifecycle replay --streams";

pub(super) const FAULT: Fault = Fault {
    number: 19,
    name: "postgres-left-behind",
    what: "an asynchronous standby hears nothing for 3 s, and is promoted: the loss is noticed, told, and mended by a person",
    strike,
    limits: Limits { judged_by_itself: true, ruins: true, ..USUAL },
    needs: None,
};

fn strike(scene: &mut Scene<'_>) -> Result<()> {
    scene.rig.replication.set(Mode::Blackhole);
    pause(Duration::from_secs(3))?;
    let before = head(scene.rig)?;
    scene.rig.postgres().stop_immediate();
    scene.rig.promote_standby()?;
    let lost = before - wait_for_head(scene.rig)?;
    scene.note(format!("{lost} records lost with the primary"));
    scene.expect(lost > 0, "nothing was lost: nothing was tested");
    let is_noticed = || scene.rig.instances.iter().any(|instance| instance.whole_log().contains(WAY_OUT));
    let noticed = wait(PATIENCE, is_noticed)?;
    scene.expect(noticed.is_some(), format!("no instance says within {PATIENCE:?} that the log has lost commits"));
    scene.rig.instances.iter_mut().try_for_each(Instance::kill)?;
    let first = &mut scene.rig.instances[0];
    first.spawn()?;
    let refused = wait(PATIENCE, || !first.is_there())?;
    let told = first.log().contains(WAY_OUT);
    if refused.is_some() {
        first.bury()?;
    } else {
        first.kill()?;
    }
    scene.expect(
        refused.is_some() && told,
        "an instance starts on streams that tell of what is gone, or does not say why not",
    );
    scene.rig.lifecycle(&["replay", "--streams"])?;
    scene.rig.instances.iter_mut().try_for_each(Instance::spawn)?;
    scene.rig.instances.iter_mut().try_for_each(Instance::attach)?;
    let works = wait(PATIENCE, || scene.rig.is_ready())?;
    scene.expect(works.is_some(), "it does not work again after the streams were made anew");
    let proved = scene.rig.lifecycle(&["verify"]);
    scene.expect(proved.is_ok(), format!("{:#}", proved.err().unwrap_or_else(|| anyhow::anyhow!("verified"))));
    Ok(())
}

fn head(rig: &Rig) -> Result<u64> {
    rig.number("SELECT position FROM journal_head")
}

/// What the new primary begins with; it may take a moment to answer.
fn wait_for_head(rig: &Rig) -> Result<u64> {
    let mut found = None;
    wait(PATIENCE, || {
        found = head(rig).ok();
        found.is_some()
    })?;
    match found {
        Some(head) => Ok(head),
        None => bail!("the new primary does not answer"),
    }
}
