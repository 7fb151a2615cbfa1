//! `cargo xtask fuzz`: builds the fuzzer, and searches all targets side by side, or the named ones.

use anyhow::Result;

use crate::{built, sh};

/// Runs it; `arguments` go to the fuzzer as they are.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut cargo = sh::cargo();
    cargo.args(["run", "--package", "lifecycle-fuzz", "--quiet", "--"]);
    sh::run(cargo.args(arguments))
}

/// Searches for so many seconds with the build of the tests: nothing is built for it.
pub(crate) fn check_with_built_binary(seconds: &str) -> Result<()> {
    sh::run(sh::command(built::program("debug", "lifecycle-fuzz")?).args(["--seconds", seconds]))
}
