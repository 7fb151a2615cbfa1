//! `cargo xtask fuzz`: builds the fuzzer as the simulator is built, and searches all targets side by side, or the named ones.

use anyhow::Result;

use crate::sh;

/// Runs it; `arguments` go to the fuzzer as they are.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut cargo = sh::cargo();
    cargo.args(["run", "--profile", "sim", "--package", "lifecycle-fuzz", "--quiet", "--"]);
    sh::run(cargo.args(arguments))
}
