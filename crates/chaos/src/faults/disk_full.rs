//! The disk under PostgreSQL is full, and then it is not. The data folder lies on a small file system in memory for that
//! time.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::{Fault, USUAL};
use crate::interrupt::{pause, wait};
use crate::scene::Scene;

/// What is free before it is filled.
const FREE_KIB: u64 = 96 * 1024;

/// How long the service may take once there is room.
const HEALED_WITHIN: Duration = Duration::from_secs(10);

pub(super) const FAULT: Fault = Fault {
    number: 22,
    name: "disk-full",
    what: "no room is left where PostgreSQL has its data; then there is, and the server is started again if it has ended",
    strike,
    limits: USUAL,
    needs: Some(|| {
        // Whoever may have mounts of its own may mount.
        let may = Command::new("unshare").args(["--mount", "true"]).output().is_ok_and(|ran| ran.status.success());
        (!may).then(|| "it needs root that may mount a file system".to_owned())
    }),
};

/// A file system in memory over a folder, which lies beside it meanwhile. Gone when dropped.
struct Small {
    data: PathBuf,
    beside: PathBuf,
}

fn strike(scene: &mut Scene<'_>) -> Result<()> {
    let folder = scene.rig.postgres().folder().to_path_buf();
    scene.rig.postgres().stop_fast();
    let small = Small::over(folder.join("data"))?;
    scene.rig.postgres().start_again();
    let patience = scene.profile.patience(HEALED_WITHIN);
    ensure!(wait(patience, || scene.rig.is_ready())?.is_some(), "nobody is ready on the small file system");
    pause(Duration::from_secs(1))?;
    let written = std::fs::metadata(folder.join("log"))?.len();
    let filler = small.data.join("filler");
    fill(&filler)?;
    scene.last()?;
    std::fs::remove_file(filler)?;
    let ended = wait(Duration::from_secs(2), || scene.rig.sql("SELECT 1").is_ok())?.is_none();
    if ended {
        scene.rig.postgres().start_again();
    }
    let healed = wait(patience, || {
        scene.rig.is_ready() && scene.rig.sql("UPDATE journal_head SET floor = floor RETURNING 1").is_ok()
    })?;
    let log = std::fs::read(folder.join("log"))?;
    let log = String::from_utf8_lossy(&log[usize::try_from(written)?.min(log.len())..]).into_owned();
    let (refusals, panics) = (log.matches("No space left on device").count(), log.matches("PANIC:").count());
    scene.note(format!(
        "PostgreSQL met the end of the disk {refusals} times, and panicked {panics} times; started by us: {ended}; \
         ready {healed:?} after there was room"
    ));
    scene.expect(refusals > 0, "PostgreSQL never met the end of the disk: nothing was tested");
    scene.in_time(healed, HEALED_WITHIN, format!("nobody is ready {HEALED_WITHIN:?} after there was room"));
    // Back to where it was: what comes next has a disk.
    scene.rig.postgres().stop_fast();
    small.back()?;
    scene.rig.postgres().start_again();
    Ok(())
}

/// Takes all room that is left.
fn fill(path: &Path) -> Result<()> {
    let mut file = File::create(path)?;
    for size in [1024 * 1024, 4096] {
        let zeros = vec![0; size];
        while file.write_all(&zeros).is_ok() {}
    }
    Ok(())
}

impl Small {
    fn over(data: PathBuf) -> Result<Self> {
        let beside = data.with_extension("disk");
        let used = run("du", &["-sk", text(&data)?])?;
        let used: u64 = used.split_whitespace().next().context("no size")?.parse()?;
        std::fs::rename(&data, &beside)?;
        std::fs::create_dir(&data)?;
        let size = format!("size={}k", used + FREE_KIB);
        run("mount", &["-t", "tmpfs", "-o", &size, "lifecycle-chaos", text(&data)?])?;
        let small = Self { data, beside };
        copy(&small.beside, &small.data)?;
        Ok(small)
    }

    /// What is in it is on the disk again.
    fn back(self) -> Result<()> {
        std::fs::remove_dir_all(&self.beside)?;
        std::fs::create_dir(&self.beside)?;
        copy(&self.data, &self.beside)?;
        run("umount", &[text(&self.data)?])?;
        std::fs::remove_dir(&self.data)?;
        Ok(std::fs::rename(&self.beside, &self.data)?)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // After `back` there is nothing to do; before, the server may still run on it.
        if self.beside.exists() {
            let _ = Command::new("umount").arg("--lazy").arg(&self.data).output();
        }
    }
}

/// Copies a folder with its owner and rights.
fn copy(from: &Path, to: &Path) -> Result<()> {
    run("cp", &["--archive", "--no-target-directory", text(from)?, text(to)?]).map(drop)
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path is no text")
}

/// Runs a program of the system to its end; answers what it wrote.
fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output()?;
    ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
