//! Work that keeps a store or a bus in order: trimming, partitions, read models. It is done now and then, by one instance;
//! done twice, or by two at once, it does no harm.

use std::time::Duration;

use async_trait::async_trait;

use crate::PortError;

/// One such work.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Upkeep: Send + Sync + 'static {
    /// What it is called in logs and metrics, as `area.what`.
    fn name(&self) -> &'static str;

    /// How often it is due.
    fn every(&self) -> Duration;

    /// Does it.
    async fn run(&self) -> Result<(), PortError>;
}
