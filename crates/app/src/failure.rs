//! How a command ends when it does not end well: an exit code and a message that says what to do.

use std::io;
use std::process::ExitCode;

use ports::PortError;

use crate::config::ConfigError;

/// Why a command ends early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A check found something: violations, a broken chain, a refused request.
    #[error("{0}")]
    Check(String),
    /// The command line or the configuration is wrong.
    #[error("{0}")]
    Usage(String),
    /// Something that is needed cannot be had at the moment: the data file, the address, the service.
    #[error("{0}")]
    Unavailable(String),
    /// A fault of the program or of its data.
    #[error("{0}")]
    Internal(String),
    /// Nobody reads what is printed any more, as in `lifecycle dlq list | head -1`: not worth a word.
    #[error("the output was closed")]
    ClosedPipe,
}

/// What the exit codes mean; printed by `--help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0   done
  1   a check failed: verify found violations, the audit chain is broken, a dead letter was refused
  2   the command line or the configuration is wrong
  69  something needed is not available: server down or not migrated, data file in use, address taken
  70  an internal error
  130 a second Ctrl-C or SIGTERM stopped the service at once";

impl Failure {
    /// The exit code, after those of sysexits.h where there is one.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::ClosedPipe => 0,
            Self::Check(_) => 1,
            Self::Usage(_) => 2,
            Self::Unavailable(_) => 69,
            Self::Internal(_) => 70,
        })
    }

    /// An internal error with everything below it.
    pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Internal(chain(error))
    }
}

/// An error with everything below it, in one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(error) = below {
        text.push_str(": ");
        text.push_str(&error.to_string());
        below = error.source();
    }
    text
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::ClosedPipe } else { Self::internal(&error) }
    }
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        if error.may_retry() {
            Self::Unavailable(format!("{}; try again", chain(&error)))
        } else {
            Self::internal(&error)
        }
    }
}
