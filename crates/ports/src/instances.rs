//! The processes that work on one store.
//!
//! Rules:
//! * **N1** An instance that beat is listed by every instance, with its last beat by the store's clock; beating again
//!   moves only that.
//! * **N2** An instance that left, and one whose last beat is older than asked for, is not listed. Leaving twice, or
//!   without ever having been there, does nothing; one that beats after it left is back.

use std::time::Duration;

use async_trait::async_trait;
use domain::Timestamp;

use crate::PortError;

/// A process that works on the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its name, unique among all that ever ran on this store.
    pub id: String,
    /// The program's version.
    pub version: String,
    /// When it started, by its own clock.
    pub started_at: Timestamp,
}

/// An instance as the others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenInstance {
    /// Which.
    pub instance: Instance,
    /// Its last sign of life, by the store's clock.
    pub seen_at: Timestamp,
}

/// Who is there.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Instances: Send + Sync + 'static {
    /// Gives a sign of life.
    async fn beat(&self, instance: &Instance) -> Result<(), PortError>;

    /// It ends in order.
    async fn leave(&self, id: &str) -> Result<(), PortError>;

    /// Who gave a sign of life within `within`, longest running first.
    async fn alive(&self, within: Duration) -> Result<Vec<SeenInstance>, PortError>;
}
