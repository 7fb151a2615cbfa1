//! `setup`: what this machine must have. Installs what cargo can install; `packages` looks after the rest.

use anyhow::{Context as _, Result, bail};

use crate::{packages, sh};

const DENY: &str = "0.20.2";
const NEXTEST: &str = "0.9.143";
/// The oldest Node.js that the clients of the interop tests run on.
const NODE: u32 = 20;

/// Where clients of other languages live.
const INTEROP: &str = "tests/interop";
/// Where the libraries live that the service is compared with.
pub(crate) const PEERS: &str = "bench/peers";

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
    packages::need_servers()?;
    need_node()?;
    install_node_modules(INTEROP)?;
    install_node_modules(PEERS)?;
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

fn need_node() -> Result<()> {
    const HOW: &str = "it runs other people's clients against the service. Debian and Ubuntu: `apt-get install nodejs \
        npm`; macOS: `brew install node`; others: https://nodejs.org/en/download";
    if !sh::succeeds(sh::command("node").arg("--version")) || !sh::succeeds(sh::command("npm").arg("--version")) {
        bail!("Node.js {NODE} or newer with npm was not found; {HOW}");
    }
    let version = sh::output(sh::command("node").arg("--version"))?;
    let major = version.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok());
    if major.is_none_or(|major: u32| major < NODE) {
        bail!("Node.js is {}, and {NODE} or newer is needed; {HOW}", version.trim());
    }
    eprintln!("Node.js and npm: found");
    Ok(())
}

/// Installs what the lock file in `place` names, unless that was done since the lock file changed.
pub(crate) fn install_node_modules(place: &str) -> Result<()> {
    let folder = sh::root().join(place);
    let modified = |name: &str| folder.join(name).metadata().and_then(|file| file.modified()).ok();
    let Some(lock) = modified("package-lock.json") else { return Ok(()) };
    // npm writes this one last.
    if modified("node_modules/.package-lock.json").is_some_and(|installed| installed >= lock) {
        eprintln!("{place}: its modules are installed");
        return Ok(());
    }
    sh::run(sh::command("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder))
        .with_context(|| format!("the modules of {place} could not be installed"))
}
