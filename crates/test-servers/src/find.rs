//! Where this machine keeps the servers' programs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, Result, bail};

use crate::children;

const POSTGRES: u32 = 15;
const REDIS: u32 = 7;

/// Folders that hold one for each version, and where in these the programs are: Debian and Ubuntu, Fedora's others,
/// Homebrew on either kind of Mac.
const POSTGRES_FOLDERS: &[(&str, &str)] =
    &[("/usr/lib/postgresql", "bin"), ("/usr", "bin"), ("/opt/homebrew/opt", "bin"), ("/usr/local/opt", "bin")];

/// PostgreSQL's programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresPrograms {
    /// The version's first number.
    pub major: u32,
    /// The folder of `postgres` and `initdb`.
    pub folder: PathBuf,
}

/// The newest PostgreSQL of this machine.
pub fn postgres() -> Result<PostgresPrograms> {
    let newest = postgres_folders().filter_map(postgres_in).max_by_key(|found| found.major);
    match newest {
        Some(found) if found.major >= POSTGRES => Ok(found),
        Some(found) => bail!(
            "PostgreSQL {POSTGRES} or newer is needed, and {} holds {}: `cargo xtask setup` says how to get it",
            found.folder.display(),
            found.major
        ),
        None => bail!("PostgreSQL was not found: `cargo xtask setup` installs it, or says how to get it"),
    }
}

/// The command-line client.
pub fn psql() -> Result<PathBuf> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    // Debian's on the PATH is a script that first looks which one to run, which takes longer than most statements.
    let find =
        || postgres_folders().map(|folder| folder.join("psql")).find(|psql| psql.is_file()).or_else(|| on_path("psql"));
    FOUND
        .get_or_init(find)
        .clone()
        .context("`psql` was not found: `cargo xtask setup` installs it, or says how to get it")
}

/// Redis' server.
pub fn redis() -> Result<PathBuf> {
    let program = on_path("redis-server")
        .context("`redis-server` was not found: `cargo xtask setup` installs it, or says how to get it")?;
    let said = children::output(Command::new(&program).arg("--version"))?;
    let version = said.split("v=").nth(1).and_then(first_number);
    if version.is_none_or(|version| version < REDIS) {
        bail!("Redis {REDIS}.0 or newer is needed, and `redis-server --version` says: {}", said.trim());
    }
    Ok(program)
}

/// The program of this name that a shell would run.
pub fn on_path(name: &str) -> Option<PathBuf> {
    // A service user's PATH often lacks the second and the last.
    let known = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/opt/homebrew/bin"].map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(known).map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// Folders that may hold PostgreSQL's programs, the likeliest first.
fn postgres_folders() -> impl Iterator<Item = PathBuf> {
    // Often a link into the folder that holds the others.
    let on_path = on_path("postgres").map(|program| program.canonicalize().unwrap_or(program));
    let installed = POSTGRES_FOLDERS.iter().flat_map(|(parent, below)| {
        let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
        entries.map(move |entry| entry.path().join(below))
    });
    on_path
        .and_then(|program| program.parent().map(Path::to_path_buf))
        .into_iter()
        .chain(installed)
        .chain(told_by_pg_config())
}

/// The library that lies to a program about the time; there is none outside Linux.
pub fn faketime() -> Option<PathBuf> {
    const PLACES: &[&str] = &[
        "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
        "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
        "/usr/lib64/faketime/libfaketimeMT.so.1",
        "/usr/lib/faketime/libfaketimeMT.so.1",
    ];
    PLACES.iter().map(PathBuf::from).find(|path| Path::exists(path))
}

fn told_by_pg_config() -> impl Iterator<Item = PathBuf> {
    let ask = || {
        let folder = children::output(Command::new(on_path("pg_config")?).arg("--bindir")).ok()?;
        Some(PathBuf::from(folder.trim()))
    };
    std::iter::once_with(ask).flatten()
}

fn postgres_in(folder: PathBuf) -> Option<PostgresPrograms> {
    let program = folder.join("postgres");
    if !program.is_file() || !folder.join("initdb").is_file() {
        return None;
    }
    // "postgres (PostgreSQL) 16.4 (Debian 16.4-1)"
    let said = children::output(Command::new(program).arg("--version")).ok()?;
    let major = said.split(')').nth(1).and_then(first_number)?;
    Some(PostgresPrograms { major, folder })
}

fn first_number(text: &str) -> Option<u32> {
    let text = text.trim_start();
    text[..text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_the_programs_say() {
        assert_eq!(first_number(" 15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(first_number("7.0.15 sha=00000000:0"), Some(7));
        assert_eq!(first_number("17devel"), Some(17));
        assert_eq!(first_number("unknown"), None);
    }
}
