//! `cargo xtask sim`: builds the simulator and runs seeds, or with `--sabotage` plants bugs and demands that they are found.

use anyhow::Result;

use crate::{built, sh};

/// Runs it; `arguments` go to the simulator as they are.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut cargo = sh::cargo();
    cargo.args(["run", "--package", "lifecycle-sim", "--quiet"]);
    if arguments.iter().any(|argument| argument.starts_with("--sabotage")) {
        cargo.args(["--features", "sabotage"]);
    }
    sh::run(cargo.arg("--").args(arguments))
}

/// Runs so many seeds with the build of the tests: nothing is built for it.
pub(crate) fn check_with_built_binary(seeds: &str) -> Result<()> {
    sh::run(sh::command(built::program("debug", "lifecycle-sim")?).args(["--seeds", seeds]))
}
