//! `cargo xtask fuzz`: builds the fuzzer as the simulator is built, and searches all targets side by side, or the named ones.

use anyhow::Result;

use crate::{generate, sh};

/// Runs it; `arguments` go to the fuzzer as they are.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut cargo = sh::cargo();
    cargo.args(["run", "--profile", "sim", "--package", "lifecycle-fuzz", "--quiet", "--"]);
    sh::run(cargo.args(arguments))
}

/// Searches for so many seconds with the build of the tests: less deep, and nothing is built for it.
pub(crate) fn check_with_built_binary(seconds: &str) -> Result<()> {
    let fuzz = generate::target()?.join("debug").join(format!("lifecycle-fuzz{}", std::env::consts::EXE_SUFFIX));
    sh::run(sh::command(fuzz).args(["--seconds", seconds]))
}
