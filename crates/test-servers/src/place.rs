//! The folder of a server and the user that it runs as.

use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::children;

/// Users that a server may run as when root starts it; PostgreSQL refuses root.
const UNPRIVILEGED: &[&str] = &["postgres", "nobody"];

/// Where Linux keeps files in memory. Containers often have little of it.
const MEMORY: &str = "/dev/shm";
const ENOUGH_KILOBYTES: u64 = 4 * 1024 * 1024;

/// A folder that every user can reach, and whose content stays.
const COMMON: &str = "/var/tmp";

/// A user and its group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct User {
    user: u32,
    group: u32,
}

impl User {
    /// Whom a server that refuses root runs as; `None`: as the one that runs us.
    pub(crate) fn unprivileged() -> Result<Option<Self>> {
        if own_user()? != 0 {
            return Ok(None);
        }
        let found = UNPRIVILEGED
            .iter()
            .find_map(|name| Some(Self { user: id(&["-u", name]).ok()?, group: id(&["-g", name]).ok()? }));
        found.map(Some).context("root may not run PostgreSQL, and there is neither a user `postgres` nor `nobody`")
    }
}

/// The user that runs us.
pub(crate) fn own_user() -> Result<u32> {
    id(&["-u"])
}

fn id(arguments: &[&str]) -> Result<u32> {
    children::output(Command::new("id").args(arguments))?.trim().parse().context("`id` printed no number")
}

/// A folder that belongs to a server.
#[derive(Debug)]
pub(crate) struct Place {
    path: PathBuf,
    /// Removed with this; `None`: kept.
    temporary: Option<TempDir>,
    user: Option<User>,
}

impl Place {
    /// A new folder that is removed when the server is dropped.
    pub(crate) fn temporary(user: Option<User>) -> Result<Self> {
        let usual = std::env::temp_dir();
        Self::below(if is_reachable(&usual, user) { &usual } else { Path::new(COMMON) }, user)
    }

    /// The same, in memory where the machine has enough: a database's hundreds of files are made several times faster.
    pub(crate) fn in_memory(user: Option<User>) -> Result<Self> {
        if has_room(Path::new(MEMORY))
            && let Ok(place) = Self::below(Path::new(MEMORY), user)
        {
            return Ok(place);
        }
        Self::temporary(user)
    }

    fn below(folder: &Path, user: Option<User>) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("lifecycle-")
            .tempdir_in(folder)
            .with_context(|| format!("no temporary folder in {}", folder.display()))?;
        let place = Self { path: folder.path().to_path_buf(), temporary: Some(folder), user };
        place.hand_over(&place.path)?;
        Ok(place)
    }

    /// A folder that stays: `path`, or one that stands for it where the user can reach it.
    pub(crate) fn kept(path: &Path, user: Option<User>) -> Result<Self> {
        let make = |path: &Path| {
            std::fs::create_dir_all(path)
                .and_then(|()| path.canonicalize())
                .with_context(|| format!("{} could not be made", path.display()))
        };
        let mut path = make(path)?;
        // The folder itself is handed over; those above it are not ours.
        if path.parent().is_some_and(|above| !is_reachable(above, user)) {
            let mut hasher = DefaultHasher::new();
            path.hash(&mut hasher);
            path = make(&Path::new(COMMON).join(format!("lifecycle-{:016x}", hasher.finish())))?;
        }
        let place = Self { path, temporary: None, user };
        place.hand_over(&place.path)?;
        Ok(place)
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.temporary.is_none()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Where the server writes what it has to say.
    pub(crate) fn log(&self) -> Result<File> {
        let path = self.file("log");
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("{} could not be opened", path.display()))
    }

    /// The end of what it wrote.
    pub(crate) fn end_of_log(&self) -> String {
        const LINES: usize = 15;
        let text = std::fs::read(self.file("log")).map(|text| String::from_utf8_lossy(&text).into_owned());
        let text = text.unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }

    /// Writes a file that the server's user alone may read.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.file(name);
        let written = || -> std::io::Result<()> {
            std::fs::write(&path, text)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
        };
        written().with_context(|| format!("{} could not be written", path.display()))?;
        self.hand_over(&path)?;
        Ok(path)
    }

    /// A program that runs here, as the user of this folder.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.path).env("LC_ALL", "C");
        if let Some(User { user, group }) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    fn hand_over(&self, path: &Path) -> Result<()> {
        let Some(User { user, group }) = self.user else { return Ok(()) };
        std::os::unix::fs::chown(path, Some(user), Some(group))
            .with_context(|| format!("{} could not be given to its user", path.display()))
    }
}

/// Whether `user` may go into `folder`, and into all above it; root's own home is often closed to the others.
fn is_reachable(folder: &Path, user: Option<User>) -> bool {
    const OTHERS_MAY_ENTER: u32 = 0o001;
    let open = |folder: &Path| folder.metadata().is_ok_and(|folder| folder.mode() & OTHERS_MAY_ENTER != 0);
    user.is_none() || folder.ancestors().all(open)
}

fn has_room(folder: &Path) -> bool {
    let free = || {
        let said = children::output(Command::new("df").arg("-Pk").arg(folder)).ok()?;
        said.lines().nth(1)?.split_whitespace().nth(3)?.parse::<u64>().ok()
    };
    folder.is_dir() && free().is_some_and(|free| free >= ENOUGH_KILOBYTES)
}
