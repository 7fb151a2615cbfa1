//! What cargo has built, and where. How it is built is the business of each command.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::sh;

/// A program that stands in the target folder.
pub(crate) fn program(profile: &str, name: &str) -> Result<PathBuf> {
    let program = target()?.join(profile).join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    if !program.exists() {
        bail!("there is no {}; `cargo build --workspace` makes it", program.display());
    }
    Ok(program)
}

/// Where cargo puts what it makes.
pub(crate) fn target() -> Result<PathBuf> {
    let metadata = metadata()?;
    let target = metadata["target_directory"].as_str().context("cargo metadata names no target directory")?;
    Ok(PathBuf::from(target))
}

/// What cargo knows of the workspace's own packages.
pub(crate) fn metadata() -> Result<serde_json::Value> {
    let text = sh::output(sh::cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    serde_json::from_str(&text).context("cargo metadata printed something that is not JSON")
}
