//! From what PostgreSQL says to what a port says.

use diesel::result::{DatabaseErrorKind, Error};
use ports::PortError;

/// The other side, in a user's words.
pub(crate) const STORE: &str = "PostgreSQL";

/// Why a unit of work or a read failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// As the port says it.
    Port(PortError),
    /// The connection turned out to be dead before anything was done on it; another one may work.
    NotBegun(PortError),
    /// The server gave up while the unit of work waited for its campaigns, most likely because somebody else holds one.
    GivenUp(PortError),
    /// A unique key was taken meanwhile; another attempt may see by whom.
    Taken {
        /// The key's name.
        constraint: String,
        /// What the server said.
        detail: String,
    },
    /// The server takes no writes: it is in recovery, or was demoted.
    ReadOnly(Error),
}

impl Failure {
    /// As the port says it, when there is no further attempt.
    pub(crate) fn into_port(self) -> PortError {
        match self {
            Self::Port(error) | Self::NotBegun(error) | Self::GivenUp(error) => error,
            Self::Taken { detail, .. } => PortError::Refused { what: STORE, detail },
            Self::ReadOnly(source) => unavailable(source),
        }
    }
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        Self::Port(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Port(match &error {
            // diesel keeps no SQLSTATE but those that it lists here. Whatever is not listed may be tried again.
            Error::DatabaseError(kind, info) => match kind {
                DatabaseErrorKind::UniqueViolation => {
                    let constraint = info.constraint_name().unwrap_or_default().to_owned();
                    return Self::Taken { constraint, detail: info.message().to_owned() };
                }
                DatabaseErrorKind::ReadOnlyTransaction => return Self::ReadOnly(error),
                DatabaseErrorKind::ForeignKeyViolation
                | DatabaseErrorKind::NotNullViolation
                | DatabaseErrorKind::CheckViolation
                | DatabaseErrorKind::RestrictViolation
                | DatabaseErrorKind::ExclusionViolation => {
                    PortError::Refused { what: STORE, detail: info.message().to_owned() }
                }
                DatabaseErrorKind::SerializationFailure => PortError::Contended { what: STORE },
                _ => unavailable(error),
            },
            Error::DeserializationError(source) => PortError::Corrupt { what: STORE, detail: source.to_string() },
            Error::SerializationError(source) => PortError::Refused { what: STORE, detail: source.to_string() },
            _ => unavailable(error),
        })
    }
}

/// Nothing was written, and it may work later.
pub(crate) fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PortError {
    PortError::Unavailable { what: STORE, source: source.into() }
}

/// Nobody knows whether it was written.
pub(crate) fn unknown(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PortError {
    PortError::Unknown { what: STORE, source: source.into() }
}

/// This very request will never work.
pub(crate) fn refused(detail: impl Into<String>) -> Failure {
    Failure::Port(PortError::Refused { what: STORE, detail: detail.into() })
}

/// What is stored cannot be read.
pub(crate) fn corrupt(detail: impl Into<String>) -> Failure {
    Failure::Port(PortError::Corrupt { what: STORE, detail: detail.into() })
}
