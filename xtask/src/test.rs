//! `test`: builds everything and runs all tests, the ones in the documentation first.

use anyhow::Result;

use crate::{setup, sh};

pub(crate) fn run(filters: &[String]) -> Result<()> {
    if filters.is_empty() {
        sh::run(sh::cargo().args(["test", "--workspace", "--doc", "--quiet"]))?;
    }
    if setup::has_nextest() {
        sh::run(sh::cargo().args(["nextest", "run", "--workspace", "--no-tests", "fail"]).args(filters))
    } else {
        eprintln!("cargo-nextest is not installed: running with `cargo test` (`cargo xtask setup` installs it)");
        sh::run(sh::cargo().args(["test", "--workspace", "--all-targets", "--no-fail-fast", "--"]).args(filters))
    }
}
