//! Rate limits.
//!
//! Rules:
//! * **L1** Within any window a key gets at most its burst plus its rate times the window.
//! * **L2** Keys do not influence each other.

use std::time::Duration;

use async_trait::async_trait;

/// What is counted: one kind of thing, one who does it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LimitKey {
    /// Calls of one token: tenant and subject.
    Token(String),
    /// Calls from one address without a valid token.
    Address(std::net::IpAddr),
}

/// Whether one more is fine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// It is.
    Granted,
    /// Not before this time has passed.
    Denied {
        /// How long to wait.
        retry_after: Duration,
    },
}

/// Counts and refuses.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait RateLimiter: Send + Sync + 'static {
    /// Takes one, if one is left.
    async fn take(&self, key: LimitKey) -> Permit;
}
