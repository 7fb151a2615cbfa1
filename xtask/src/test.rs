//! `test`: builds everything and runs all tests with servers of their own. None are in the documentation, which `tidy` sees to:
//! looking through every crate for some takes minutes.

use std::process::Command;

use anyhow::Result;
use test_servers::shared::{self, Servers};

use crate::ci::FAILPOINTS;
use crate::interrupt::Interrupt;
use crate::{setup, sh};

pub(crate) fn run(filters: &[String]) -> Result<()> {
    // Caught also where nothing is asked of it: then Ctrl-C ends the tests first, and we come to stop the servers.
    let _interrupt = Interrupt::catch()?;
    let servers = if shared::is_set() {
        eprintln!("PostgreSQL and Redis: the ones in the environment");
        None
    } else {
        let servers = Servers::throw_away()?;
        eprintln!("PostgreSQL and Redis: started for these tests");
        Some(servers)
    };
    let cargo = || {
        let mut cargo = sh::cargo();
        cargo.envs(servers.iter().flat_map(Servers::environment));
        cargo
    };
    run_with(filters, cargo)
}

fn run_with(filters: &[String], cargo: impl Fn() -> Command) -> Result<()> {
    if setup::has_nextest() {
        sh::run(cargo().args(["nextest", "run", "--workspace", FAILPOINTS, "--no-tests", "fail"]).args(filters))
    } else {
        eprintln!("cargo-nextest is not installed: running with `cargo test` (`cargo xtask setup` installs it)");
        sh::run(
            cargo().args(["test", "--workspace", "--all-targets", FAILPOINTS, "--no-fail-fast", "--"]).args(filters),
        )
    }
}
