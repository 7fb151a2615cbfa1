//! An instance may open no more files, and so takes no more connections.

use std::process::Command;

use anyhow::{Result, ensure};

use super::{Fault, Limits, USUAL};
use crate::scene::Scene;

pub(super) const FAULT: Fault = Fault {
    number: 8,
    name: "no-file-handles",
    what: "prlimit --nofile of one instance to less than it holds already: it can accept nobody; lifted again",
    strike,
    limits: Limits { heal: std::time::Duration::from_secs(5), ..USUAL },
    needs: Some(|| super::lacks("prlimit")),
};

fn strike(scene: &mut Scene<'_>) -> Result<()> {
    let victim = scene.chance.below(scene.rig.instances.len());
    let instance = &scene.rig.instances[victim];
    let id = instance.id()?;
    limit(id, "16")?;
    let lasted = scene.last();
    let accepts = instance.is_ready();
    limit(id, "4096")?;
    lasted?;
    scene.expect(!accepts, "it accepted a connection without a file handle: nothing was tested");
    Ok(())
}

/// The soft limit; the hard one stays, so that it can be lifted.
fn limit(process: u32, files: &str) -> Result<()> {
    let set = Command::new("prlimit").arg(format!("--pid={process}")).arg(format!("--nofile={files}:")).status()?;
    ensure!(set.success(), "prlimit failed");
    Ok(())
}
