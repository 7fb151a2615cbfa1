//! `cargo xtask sim`: builds the simulator and runs seeds, or with `--sabotage` plants bugs and demands that they are found.

use anyhow::Result;

use crate::sh;

/// Runs it; `arguments` go to the simulator as they are.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut cargo = sh::cargo();
    cargo.args(["run", "--profile", "sim", "--package", "lifecycle-sim", "--quiet"]);
    if arguments.iter().any(|argument| argument.starts_with("--sabotage")) {
        cargo.args(["--features", "sabotage"]);
    }
    sh::run(cargo.arg("--").args(arguments))
}
