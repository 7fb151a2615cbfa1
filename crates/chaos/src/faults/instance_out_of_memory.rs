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

    fn write(&self, file: &str, value: &str) -> Result<()> {
        Ok(std::fs::write(self.0.join(file), value)?)
    }

    fn usage(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.0.join("memory.usage_in_bytes"))?.trim().to_owned())
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
        // A process counts in a group from when it is there.
        instance.kill()?;
        instance.spawn()?;
        group.write("cgroup.procs", &instance.id()?.to_string())?;
        instance.attach()?;
        pause(Duration::from_secs(1))?;
        // It may have no more than it has.
        group.write("memory.limit_in_bytes", &group.usage()?)?;
        let killed = wait(Duration::from_secs(10), || {
            let _ = instance.get("/api/v1/campaigns?limit=200");
            !instance.is_there()
        })?;
        ensure!(killed.is_some(), "the system does not kill it");
        instance.bury()?;
        instance.start()?;
        pause(Duration::from_secs(2))?;
    }
    Ok(())
}
