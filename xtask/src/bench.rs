//! `cargo xtask bench`: builds the program and the bench optimised, and runs the scenarios of `crates/bench`.

use anyhow::Result;

use crate::sh;

/// Runs the scenarios; `arguments` go to the bench as they are.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    sh::run(sh::cargo().args(["build", "--release", "--package", "lifecycle", "--package", "lifecycle-bench"]))?;
    let bench = sh::root().join("target/release/lifecycle-bench");
    sh::run(sh::command(bench).args(arguments))
}
