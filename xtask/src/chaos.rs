//! `cargo xtask chaos`: builds the program and its tormentor, and lets faults happen (`crates/chaos`).

use anyhow::Result;

use crate::interrupt::Interrupt;
use crate::{built, sh};

/// Runs faults; `arguments` go to the command as they are. Both programs are as the tests have them: every assertion is on.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    sh::run(sh::cargo().args(["build", "--package", "lifecycle", "--package", "lifecycle-chaos"]))?;
    run_built(arguments)
}

/// Judges what every change is held to, with the build of the tests: nothing is built for it.
pub(crate) fn check_with_built_binary() -> Result<()> {
    run_built(&["--correctness".to_owned()])
}

fn run_built(arguments: &[String]) -> Result<()> {
    let chaos = built::program("debug", "lifecycle-chaos")?;
    // Ctrl-C ends it, which stops its servers first; we wait for that.
    let _interrupt = Interrupt::catch()?;
    sh::run(sh::command(chaos).args(arguments))
}
