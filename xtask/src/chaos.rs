//! `cargo xtask chaos`: builds the program and its tormentor, and lets faults happen (`crates/chaos`).

use anyhow::{Result, bail};

use crate::interrupt::Interrupt;
use crate::{generate, sh};

/// Runs faults; `arguments` go to the command as they are. Both programs are as the tests have them: every assertion is on.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    sh::run(sh::cargo().args(["build", "--package", "lifecycle", "--package", "lifecycle-chaos"]))?;
    let chaos = generate::target()?.join("debug").join(format!("lifecycle-chaos{}", std::env::consts::EXE_SUFFIX));
    if !chaos.exists() {
        bail!("there is no {}; `cargo build --workspace` makes it", chaos.display());
    }
    // Ctrl-C ends it, which stops its servers first; we wait for that.
    let _interrupt = Interrupt::catch()?;
    sh::run(sh::command(chaos).args(arguments))
}
