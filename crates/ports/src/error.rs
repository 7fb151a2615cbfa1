//! The one error of ports that talk to a server or a file. It answers two questions: may I retry, was it written?

/// What went wrong at a port. `Display` tells this layer only; the source tells the rest.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// The other side cannot be reached or is too busy. Nothing was written.
    #[error("{what} is not available")]
    Unavailable {
        /// The other side, in a user's words.
        what: &'static str,
        /// What the driver said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another writer came first, or a lock was not free in time. Nothing was written.
    #[error("{what} was changed by somebody else at the same time")]
    Contended {
        /// The other side, in a user's words.
        what: &'static str,
    },
    /// The connection broke while committing: nobody knows whether it was written. Run the same command again; its
    /// inbox entry tells the truth.
    #[error("{what} did not confirm the commit")]
    Unknown {
        /// The other side, in a user's words.
        what: &'static str,
        /// What the driver said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The other side refused this very batch, and will refuse it again. Nothing was written.
    #[error("{what} refused the data: {detail}")]
    Refused {
        /// The other side, in a user's words.
        what: &'static str,
        /// What it said; never shown to clients.
        detail: String,
    },
    /// What is stored cannot be read.
    #[error("{what} holds data that cannot be read: {detail}")]
    Corrupt {
        /// The other side, in a user's words.
        what: &'static str,
        /// Which data, and why not; never shown to clients.
        detail: String,
    },
}

/// Whether a failed call changed anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Certainly not.
    No,
    /// Nobody knows.
    Unknown,
}

impl PortError {
    /// Whether the same call may succeed later.
    pub fn may_retry(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Contended { .. } | Self::Unknown { .. } => true,
            Self::Refused { .. } | Self::Corrupt { .. } => false,
        }
    }

    /// Whether it changed anything.
    pub fn written(&self) -> Written {
        match self {
            Self::Unknown { .. } => Written::Unknown,
            Self::Unavailable { .. } | Self::Contended { .. } | Self::Refused { .. } | Self::Corrupt { .. } => {
                Written::No
            }
        }
    }
}
