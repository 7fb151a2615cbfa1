//! Rate limits.
//!
//! Rules:
//! * **L1** Within any window a key gets at most its burst plus its rate times the window.
//! * **L2** Keys do not influence each other.

use std::num::NonZeroU32;
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

/// How much of one kind is fine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// So many a second, for ever.
    pub per_second: NonZeroU32,
    /// So many at once, after a rest.
    pub burst: NonZeroU32,
}

/// The limits per kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitSettings {
    /// Of one token.
    pub token: Rate,
    /// Of one address without a valid token.
    pub address: Rate,
}

/// Counts and refuses.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait RateLimiter: Send + Sync + 'static {
    /// Takes one, if one is left.
    async fn take(&self, key: LimitKey) -> Permit;
}
