//! `setup`: what this machine must have. Installs what cargo can install, says how to get the rest.

use anyhow::{Result, bail};

use crate::sh;

const DENY: &str = "0.20.2";
const NEXTEST: &str = "0.9.143";

pub(crate) fn run() -> Result<()> {
    need_c_compiler()?;
    need_component("fmt", "rustfmt")?;
    need_component("clippy", "clippy")?;
    if sh::succeeds(sh::cargo().args(["deny", "--version"])) {
        eprintln!("cargo-deny: found");
    } else {
        eprintln!("cargo-deny: not found; installing {DENY} (`cargo xtask ci` checks licences and layers with it)");
        sh::run(sh::cargo().args(["install", "--locked", "cargo-deny", "--version", DENY]))?;
    }
    if has_nextest() {
        eprintln!("cargo-nextest: found");
    } else {
        eprintln!("cargo-nextest: not found; installing {NEXTEST} (it runs the tests in parallel)");
        if let Err(error) = sh::run(sh::cargo().args(["install", "--locked", "cargo-nextest", "--version", NEXTEST])) {
            eprintln!("cargo-nextest could not be installed ({error}); the tests will run with `cargo test`");
        }
    }
    eprintln!("this machine has all that the project needs");
    Ok(())
}

/// Whether tests can run with nextest.
pub(crate) fn has_nextest() -> bool {
    sh::succeeds(sh::cargo().args(["nextest", "--version"]))
}

fn need_c_compiler() -> Result<()> {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    if !sh::succeeds(sh::command(&compiler).arg("--version")) {
        bail!(
            "no C compiler: `{compiler} --version` does not run. SQLite is compiled in. Debian and Ubuntu: `apt-get \
             install build-essential`; Fedora: `dnf install gcc`; macOS: `xcode-select --install`"
        );
    }
    eprintln!("C compiler: found ({compiler})");
    Ok(())
}

fn need_component(subcommand: &str, component: &str) -> Result<()> {
    if !sh::succeeds(sh::cargo().args([subcommand, "--version"])) {
        eprintln!("{component}: not found; adding it with rustup");
        sh::run(sh::command("rustup").args(["component", "add", component]))?;
    }
    eprintln!("{component}: found");
    Ok(())
}
