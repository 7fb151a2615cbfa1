//! The file: its folder, its rights, its lock, its connections, its migrations, and what can be wrong with it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::migration::{MigrationSource, MigrationVersion};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/embedded");

/// "LIFE": what SQLite keeps in the header of our files, and `file(1)` shows.
const APPLICATION_ID: i64 = 0x4C49_4645;

/// Why the file cannot be opened. The texts say what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The path cannot be used.
    #[error("{} cannot be the embedded database: {reason}", path.display())]
    Path {
        /// Which.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// The folder or a file cannot be created or opened.
    #[error("{} cannot be opened or created; check that the folder exists and may be written", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Another process works with the file.
    #[error(
        "{} is in use by another lifecycle process; stop that one first, or give this one another path \
         (LIFECYCLE_EMBEDDED__PATH)",
        path.display()
    )]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// There is no such file, and this command does not make one.
    #[error("{} does not exist; `lifecycle serve` creates it, or LIFECYCLE_EMBEDDED__PATH names another one", path.display())]
    Missing {
        /// Which.
        path: PathBuf,
    },
    /// It is no database, or one of somebody else.
    #[error("{} is not a database of lifecycle ({detail}); name another path, nothing was changed", path.display())]
    NotOurs {
        /// Which.
        path: PathBuf,
        /// How one can tell.
        detail: String,
    },
    /// It is damaged.
    #[error("{} is damaged ({detail}); restore it from a backup, nothing was changed", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What SQLite said.
        detail: String,
    },
    /// A newer program wrote it.
    #[error(
        "{} was written by a newer version of lifecycle (it has migration {version}); run that version or a later one, \
         or restore a backup made before the upgrade",
        path.display()
    )]
    Newer {
        /// Which.
        path: PathBuf,
        /// The first migration that this program does not know.
        version: String,
    },
    /// An older program wrote it, and this command does not change it.
    #[error("{} was written by an older version of lifecycle; `lifecycle serve` brings it up to date when it starts", path.display())]
    Older {
        /// Which.
        path: PathBuf,
    },
    /// SQLite refused something else.
    #[error("{} cannot be opened: {what}", path.display())]
    Sqlite {
        /// Which.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The absolute path as SQLite takes it; a relative one could be mistaken for a URI.
pub(crate) fn resolve(path: &Path) -> Result<(PathBuf, String), OpenError> {
    let full = std::path::absolute(path).map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
    let reason = if full.file_name().is_none() || full.is_dir() {
        "it names a folder"
    } else if let Some(text) = full.to_str().map(str::to_owned) {
        return Ok((full, text));
    } else {
        "it is not UTF-8"
    };
    Err(OpenError::Path { path: full, reason })
}

/// Makes the folder and the file, for the owner only, where they do not exist.
pub(crate) fn create(path: &Path) -> Result<(), OpenError> {
    if let Some(folder) = path.parent() {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder).map_err(|source| OpenError::Io { path: folder.to_owned(), source })?;
    }
    private_file(path).map(drop)
}

/// Takes the lock that keeps a second process from working with the file; it holds as long as the file that it gives.
/// It lies beside the database: closing any handle of the database itself would drop SQLite's own locks.
pub(crate) fn lock(path: &Path) -> Result<File, OpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock_path = PathBuf::from(name);
    let file = private_file(&lock_path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(OpenError::Io { path: lock_path, source }),
    }
}

fn private_file(path: &Path) -> Result<File, OpenError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|source| OpenError::Io { path: path.to_owned(), source })
}

/// The one connection that writes, on a file that is migrated.
pub(crate) fn connect_writer(path: &Path, url: &str) -> Result<SqliteConnection, OpenError> {
    let mut connection = establish(path, url)?;
    check_owner(path, &mut connection)?;
    let trouble = |what| move |e: diesel::result::Error| damaged_or(path, what, e.into());
    connection
        .batch_execute(&format!(
            "PRAGMA application_id = {APPLICATION_ID}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
             PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = 100000; PRAGMA journal_size_limit = 67108864; \
             PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY;"
        ))
        .map_err(trouble("its settings were refused"))?;
    let mode: String = diesel::select(sql::<Text>("journal_mode FROM pragma_journal_mode"))
        .get_result(&mut connection)
        .map_err(trouble("its settings cannot be read"))?;
    if mode != "wal" {
        let reason = "its file system does not support SQLite's write-ahead log";
        return Err(OpenError::Path { path: path.to_owned(), reason });
    }
    check_not_newer(path, &mut connection)?;
    connection.run_pending_migrations(MIGRATIONS).map_err(|source| OpenError::Sqlite {
        path: path.to_owned(),
        what: "a migration failed",
        source,
    })?;
    Ok(connection)
}

/// Checks a file that somebody wants to read and nobody may change.
pub(crate) fn check_readable(path: &Path, url: &str) -> Result<SqliteConnection, OpenError> {
    if !path.exists() {
        return Err(OpenError::Missing { path: path.to_owned() });
    }
    let mut connection = establish(path, url)?;
    if check_owner(path, &mut connection)? == 0 {
        return Err(OpenError::Missing { path: path.to_owned() });
    }
    check_not_newer(path, &mut connection)?;
    let pending = connection.has_pending_migration(MIGRATIONS).map_err(|source| OpenError::Sqlite {
        path: path.to_owned(),
        what: "its version cannot be read",
        source,
    })?;
    if pending { Err(OpenError::Older { path: path.to_owned() }) } else { Ok(connection) }
}

/// A connection that moves pages from the log into the database, and does nothing else.
pub(crate) fn connect_checkpointer(path: &Path, url: &str) -> Result<SqliteConnection, OpenError> {
    let mut connection = establish(path, url)?;
    connection
        .batch_execute("PRAGMA synchronous = FULL; PRAGMA cache_size = -256;")
        .map_err(|e| damaged_or(path, "its settings were refused", e.into()))?;
    Ok(connection)
}

/// A connection that only reads, on a file that was checked.
pub(crate) fn connect_reader(url: &str) -> Result<SqliteConnection, Box<dyn std::error::Error + Send + Sync>> {
    let mut connection = SqliteConnection::establish(url)?;
    connection.batch_execute(
        "PRAGMA busy_timeout = 5000; PRAGMA query_only = ON; PRAGMA cache_size = -2048; PRAGMA temp_store = FILE;",
    )?;
    Ok(connection)
}

fn establish(path: &Path, url: &str) -> Result<SqliteConnection, OpenError> {
    let trouble = |source| OpenError::Sqlite { path: path.to_owned(), what: "SQLite does not open it", source };
    let mut connection = SqliteConnection::establish(url).map_err(|e| trouble(e.into()))?;
    connection.batch_execute("PRAGMA busy_timeout = 5000;").map_err(|e| trouble(e.into()))?;
    Ok(connection)
}

/// Refuses files of other programs; answers how many tables there are.
fn check_owner(path: &Path, connection: &mut SqliteConnection) -> Result<i64, OpenError> {
    let trouble = |e: diesel::result::Error| damaged_or(path, "its header cannot be read", e.into());
    let tables: i64 =
        diesel::select(sql::<BigInt>("count(*) FROM sqlite_schema")).get_result(connection).map_err(trouble)?;
    let id: i64 = diesel::select(sql::<BigInt>("application_id FROM pragma_application_id"))
        .get_result(connection)
        .map_err(trouble)?;
    if tables > 0 && id != APPLICATION_ID {
        let detail = format!("it holds {tables} tables of another program");
        return Err(OpenError::NotOurs { path: path.to_owned(), detail });
    }
    Ok(tables)
}

fn check_not_newer(path: &Path, connection: &mut SqliteConnection) -> Result<(), OpenError> {
    let trouble = |source| damaged_or(path, "its version cannot be read", source);
    let known = MigrationSource::<Sqlite>::migrations(&MIGRATIONS).map_err(trouble)?;
    let known: Vec<MigrationVersion<'_>> = known.iter().map(|m| m.name().version().as_owned()).collect();
    let applied = connection.applied_migrations().map_err(trouble)?;
    match applied.into_iter().find(|version| !known.contains(version)) {
        Some(version) => Err(OpenError::Newer { path: path.to_owned(), version: version.to_string() }),
        None => Ok(()),
    }
}

fn damaged_or(path: &Path, what: &'static str, source: Box<dyn std::error::Error + Send + Sync>) -> OpenError {
    let path = path.to_owned();
    match source.to_string() {
        text if text.contains("file is not a database") => OpenError::NotOurs { path, detail: text },
        text if text.contains("malformed") => OpenError::Damaged { path, detail: text },
        _ => OpenError::Sqlite { path, what, source },
    }
}
