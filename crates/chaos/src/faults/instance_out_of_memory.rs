//! An instance may take no more memory than it has, and is killed by the system in the middle of its work.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{Fault, USUAL};
use crate::interrupt::{pause, wait};
use crate::scene::Scene;

/// Control groups of the first version.
const GROUPS: &str = "/sys/fs/cgroup/memory";

pub(super) const FAULT: Fault = Fault {
    number: 5,
    name: "instance-out-of-memory",
    what: "a memory limit below what an instance holds: the system kills it; it is started again",
    strike,
    limits: USUAL,
    needs: Some(|| {
        let writable = Path::new(GROUPS).join("cgroup.procs").exists() && rustix::process::geteuid().is_root();
        (!writable).then(|| "it needs root and control groups of version 1".to_owned())
    }),
};

/// A control group, gone when dropped.
struct Group(PathBuf);

impl Group {
    fn new() -> Result<Self> {
        let path = Path::new(GROUPS).join(format!("lifecycle-chaos-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn write(&self, file: &str, value: u32) -> Result<()> {
        Ok(std::fs::write(self.0.join(file), value.to_string())?)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

fn strike(scene: &mut Scene<'_>) -> Result<()> {
    let end = Instant::now() + scene.profile.fault;
    while Instant::now() < end {
        let victim = scene.chance.below(scene.rig.instances.len());
        let group = Group::new()?;
        let instance = &mut scene.rig.instances[victim];
        // What it takes from now on counts: as much as a few requests need, and not more.
        group.write("memory.limit_in_bytes", 512 * 1024)?;
        group.write("cgroup.procs", instance.id()?)?;
        let killed = wait(Duration::from_secs(10), || !instance.is_there())?;
        ensure!(killed.is_some(), "the system does not kill it");
        instance.bury()?;
        instance.start()?;
        pause(Duration::from_secs(2))?;
    }
    Ok(())
}
