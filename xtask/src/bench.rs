//! `cargo xtask bench`: builds the program and the bench, and runs the scenarios of `crates/bench`.

use std::ffi::OsStr;

use anyhow::Result;

use crate::interrupt::Interrupt;
use crate::{built, ci, setup, sh};

/// The one argument of the bench that is about how it is built.
const DEV: &str = "--dev";

/// Runs the scenarios; `arguments` go to the bench as they are.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if arguments.iter().any(|argument| argument == DEV) {
        ci::build()?;
        return run_built("debug", arguments);
    }
    sh::run(sh::cargo().args(["build", "--release", "--package", "lifecycle", "--package", "lifecycle-bench"]))?;
    run_built("release", arguments)
}

/// The bench as a check, with what stands in the target folder after a build of everything.
pub(crate) fn check_with_built_binaries() -> Result<()> {
    run_built("debug", &["--quick", DEV])
}

fn run_built(profile: &str, arguments: &[impl AsRef<OsStr>]) -> Result<()> {
    if let Err(error) = setup::install_node_modules(setup::PEERS) {
        eprintln!("{error:#}; without them there are no peers to compare with");
    }
    let bench = built::program(profile, "lifecycle-bench")?;
    // Ctrl-C ends the bench, which stops its servers first; we wait for that.
    let _interrupt = Interrupt::catch()?;
    sh::run(sh::command(bench).args(arguments))
}
