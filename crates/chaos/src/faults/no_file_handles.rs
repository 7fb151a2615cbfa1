//! An instance may open no more files, and so takes no more connections.

use std::process::Command;

use anyhow::{Result, ensure};

use super::{Fault, Limits, USUAL};
use crate::scene::Scene;

pub(super) const FAULT: Fault = Fault {
    number: 8,
    name: "no-file-handles",
    what: "prlimit --nofile to what one instance holds already; lifted again",
    strike,
    limits: Limits { heal: std::time::Duration::from_secs(5), ..USUAL },
    needs: Some(|| super::lacks("prlimit")),
};

fn strike(scene: &mut Scene<'_>) -> Result<()> {
    let victim = scene.chance.below(scene.rig.instances.len());
    let instance = &scene.rig.instances[victim];
    let (id, files) = (instance.id()?, instance.holdings()?.files);
    limit(id, &files.to_string())?;
    let lasted = scene.last();
    limit(id, "4096")?;
    lasted
}

/// The soft limit; the hard one stays, so that it can be lifted.
fn limit(process: u32, files: &str) -> Result<()> {
    let set = Command::new("prlimit").arg(format!("--pid={process}")).arg(format!("--nofile={files}:")).status()?;
    ensure!(set.success(), "prlimit failed");
    Ok(())
}
