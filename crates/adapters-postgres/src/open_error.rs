//! Why PostgreSQL cannot be used, in words that say what to do. No text here ever holds a password.

use std::path::Path;

use tokio_postgres::error::SqlState;

/// Why PostgreSQL cannot be used. The texts say what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL cannot be read.
    #[error(
        "{setting} is not the URL of a PostgreSQL database ({detail}); it looks like \
         postgres://user:password@host:5432/lifecycle?sslmode=verify-full"
    )]
    Url {
        /// The setting.
        setting: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// The certificates of the authorities cannot be read.
    #[error(
        "the certificates that a server must be signed by cannot be read ({detail}); see `sslrootcert` in {setting}"
    )]
    Roots {
        /// The setting.
        setting: &'static str,
        /// Which file, and what is wrong.
        detail: String,
    },
    /// Nobody knows the host.
    #[error("the host of PostgreSQL at {at} is unknown; check the name in {setting}")]
    UnknownHost {
        /// The setting.
        setting: &'static str,
        /// Host and port.
        at: String,
        /// What the system said.
        #[source]
        source: tokio_postgres::Error,
    },
    /// Nobody answers.
    #[error("PostgreSQL at {at} cannot be reached; check that it runs, and host and port in {setting}")]
    Unreachable {
        /// The setting.
        setting: &'static str,
        /// Host and port.
        at: String,
        /// What the system said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server does not let this user in.
    #[error("PostgreSQL at {at} does not let user {user:?} in; check user and password in {setting}")]
    Credentials {
        /// The setting.
        setting: &'static str,
        /// Host and port.
        at: String,
        /// The user.
        user: String,
        /// What the server said.
        #[source]
        source: tokio_postgres::Error,
    },
    /// There is no such database.
    #[error("PostgreSQL at {at} has no database {database:?}; create it, or name another one in {setting}")]
    NoDatabase {
        /// The setting.
        setting: &'static str,
        /// Host and port.
        at: String,
        /// The database.
        database: String,
        /// What the server said.
        #[source]
        source: tokio_postgres::Error,
    },
    /// The server's certificate is not good.
    #[error(
        "the certificate of PostgreSQL at {at} is not accepted; name the file of its authority by `sslrootcert` in \
         {setting}, and the host as the certificate has it"
    )]
    Certificate {
        /// The setting.
        setting: &'static str,
        /// Host and port.
        at: String,
        /// What is wrong with it.
        #[source]
        source: tokio_postgres::Error,
    },
    /// The server does not speak TLS.
    #[error("PostgreSQL at {at} does not speak TLS; turn it on there (`ssl = on`), or see `sslmode` in {setting}")]
    NoTls {
        /// The setting.
        setting: &'static str,
        /// Host and port.
        at: String,
        /// What went wrong.
        #[source]
        source: tokio_postgres::Error,
    },
    /// The server has no free place.
    #[error("PostgreSQL at {at} has no place for another connection; raise its max_connections, or lower our pools")]
    Full {
        /// Host and port.
        at: String,
        /// What the server said.
        #[source]
        source: tokio_postgres::Error,
    },
    /// The server takes no writes.
    #[error("PostgreSQL at {at} takes no writes: it is a standby; name the primary in {setting}")]
    Standby {
        /// The setting.
        setting: &'static str,
        /// Host and port.
        at: String,
    },
    /// The server is too old.
    #[error("PostgreSQL at {at} has version {version}; lifecycle needs 15 or later")]
    TooOld {
        /// Host and port.
        at: String,
        /// Its version.
        version: String,
    },
    /// Our tables are not there, or not as this program needs them.
    #[error(
        "the database of {setting} is not prepared for this version of lifecycle (migration {version} is missing); run \
         `lifecycle migrate`"
    )]
    NotMigrated {
        /// The setting.
        setting: &'static str,
        /// The first migration that is missing.
        version: String,
    },
    /// A newer program prepared the database.
    #[error(
        "the database of {setting} was prepared by a newer version of lifecycle (it has migration {version}); run that \
         version or a later one"
    )]
    Newer {
        /// The setting.
        setting: &'static str,
        /// The first migration that this program does not know.
        version: String,
    },
    /// Another migration is under way.
    #[error("another `lifecycle migrate` is at work on this database and did not end within {} s; try again", waited.as_secs())]
    MigrationUnderWay {
        /// How long we waited.
        waited: std::time::Duration,
    },
    /// A migration failed.
    #[error("the migration of the database failed: {detail}; nothing of it was kept")]
    Migration {
        /// What the server said.
        detail: String,
    },
    /// The server refused something else.
    #[error("PostgreSQL at {at} cannot be used: {what}")]
    Server {
        /// Host and port.
        at: String,
        /// What was tried.
        what: &'static str,
        /// What the server said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Whom an error speaks of.
#[derive(Debug, Clone)]
pub(crate) struct Whom {
    pub(crate) setting: &'static str,
    pub(crate) at: String,
    pub(crate) user: String,
    pub(crate) database: String,
}

impl OpenError {
    /// A connection did not come up.
    pub(crate) fn connecting(whom: &Whom, source: tokio_postgres::Error) -> Self {
        let Whom { setting, at, .. } = whom.clone();
        if let Some(code) = source.code() {
            return match code {
                code if code.code().starts_with("28") => {
                    Self::Credentials { setting, at, user: whom.user.clone(), source }
                }
                &SqlState::UNDEFINED_DATABASE => {
                    Self::NoDatabase { setting, at, database: whom.database.clone(), source }
                }
                &SqlState::TOO_MANY_CONNECTIONS => Self::Full { at, source },
                _ => Self::Server { at, what: "it refused the connection", source: source.into() },
            };
        }
        if is_tls(&source) {
            return if is_certificate(&source) {
                Self::Certificate { setting, at, source }
            } else {
                Self::NoTls { setting, at, source }
            };
        }
        if chain(&source).contains("failed to lookup address") {
            return Self::UnknownHost { setting, at, source };
        }
        Self::Unreachable { setting, at, source: source.into() }
    }

    /// It takes too long.
    pub(crate) fn too_slow(whom: &Whom) -> Self {
        Self::Unreachable { setting: whom.setting, at: whom.at.clone(), source: "it does not answer in time".into() }
    }

    /// A statement on a new connection failed.
    pub(crate) fn server(
        whom: &Whom,
        what: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Server { at: whom.at.clone(), what, source: source.into() }
    }
}

/// Whether TLS was what failed. The driver keeps the kind of its errors to itself, but for this text.
pub(crate) fn is_tls(error: &tokio_postgres::Error) -> bool {
    error.to_string().starts_with("error performing TLS handshake")
}

fn is_certificate(error: &tokio_postgres::Error) -> bool {
    let io = std::error::Error::source(error).and_then(|e| e.downcast_ref::<std::io::Error>());
    let tls = io.and_then(std::io::Error::get_ref).and_then(|e| e.downcast_ref::<rustls::Error>());
    tls.is_some()
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

/// The file of `sslrootcert`.
pub(crate) fn bad_roots(setting: &'static str, path: &Path, detail: impl std::fmt::Display) -> OpenError {
    OpenError::Roots { setting, detail: format!("{}: {detail}", path.display()) }
}
