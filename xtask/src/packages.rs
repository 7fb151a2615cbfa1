//! Programs that come from the system's packages: the servers of tests, the proxy of the deployment tests,
//! and wrong clocks.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use test_servers::find;

use crate::sh;

/// What Debian calls them, and Homebrew.
const DEBIAN: &[&str] = &["postgresql", "redis-server", "nginx", "libfaketime"];
const HOMEBREW: &[&str] = &["postgresql@16", "redis", "nginx"];

/// Asked by packages of Debian before they start a service.
const START_POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs what is missing where we may, and says what to install elsewhere.
pub(crate) fn need_servers() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        eprintln!("servers and other packages that tests need: found");
        return Ok(());
    }
    for (name, reason) in &missing {
        eprintln!("{name}: {reason}");
    }
    if sh::succeeds(sh::command("apt-get").arg("--version")) {
        if !is_root()? {
            bail!("to install what is missing, run `sudo apt-get install {}`", DEBIAN.join(" "));
        }
        install_debian()?;
    } else if sh::succeeds(sh::command("brew").arg("--version")) {
        sh::run(sh::command("brew").arg("install").args(HOMEBREW))?;
    } else {
        bail!(
            "install PostgreSQL 15 or newer, Redis 7.0 or newer (with TLS) and nginx; Fedora: `dnf install \
             postgresql-server redis nginx libfaketime`, Arch: `pacman -S postgresql redis nginx libfaketime`"
        );
    }
    match self::missing().first() {
        None => Ok(()),
        // An older release of the system may have them too old.
        Some((name, reason)) => bail!(
            "{name} is not there after the installation: {reason}. Newer ones come from \
             https://www.postgresql.org/download and https://redis.io/docs/latest/operate/oss_and_stack/install"
        ),
    }
}

/// What is missing, and what was said about it.
fn missing() -> Vec<(&'static str, String)> {
    let mut missing = Vec::new();
    if let Err(error) = find::postgres() {
        missing.push(("PostgreSQL", format!("{error:#}")));
    }
    if let Err(error) = find::psql() {
        missing.push(("psql", format!("{error:#}")));
    }
    if let Err(error) = find::redis() {
        missing.push(("Redis", format!("{error:#}")));
    }
    for program in ["redis-cli", "nginx"] {
        if find::on_path(program).is_none() {
            missing.push((program, "not found".to_owned()));
        }
    }
    if cfg!(target_os = "linux") && find::faketime().is_none() {
        missing.push(("libfaketime", "not found".to_owned()));
    }
    missing
}

fn install_debian() -> Result<()> {
    // Tests start their own; a service on the usual port helps nobody.
    let _policy = NoServices::declare()?;
    let install = || {
        let mut command = sh::command("apt-get");
        command.args(["install", "--yes", "--no-install-recommends"]).args(DEBIAN);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    if sh::run(&mut install()).is_ok() {
        return Ok(());
    }
    // The list of packages is missing or old.
    sh::run(sh::command("apt-get").arg("update"))?;
    sh::run(&mut install())
}

fn is_root() -> Result<bool> {
    Ok(sh::output(sh::command("id").arg("-u"))?.trim() == "0")
}

/// As long as this lives, packages do not start their services.
struct NoServices {
    ours: bool,
}

impl NoServices {
    fn declare() -> Result<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        // One that is there has its reasons.
        let ours = !Path::new(START_POLICY).exists();
        if ours {
            std::fs::write(START_POLICY, "#!/bin/sh\nexit 101\n")
                .and_then(|()| std::fs::set_permissions(START_POLICY, std::fs::Permissions::from_mode(0o755)))
                .with_context(|| format!("{START_POLICY} could not be written"))?;
        }
        Ok(Self { ours })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours
            && let Err(error) = std::fs::remove_file(START_POLICY)
        {
            eprintln!("{START_POLICY} stays behind: {error}");
        }
    }
}
