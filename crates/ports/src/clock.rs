//! Time and identity as inputs.
//!
//! Rules:
//! * **C1** `now` never goes back within one process, and is in whole microseconds.
//! * **C2** `sleep_until` does not return before `now() >= until`.
//! * **C3** Ids are unique, and ids of one process sort in the order they were made.

use async_trait::async_trait;
use domain::Timestamp;
use uuid::Uuid;

/// Tells the time, and waits.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> Timestamp;

    /// Waits until `until`. Safe to drop while waiting.
    async fn sleep_until(&self, until: Timestamp);
}

/// Makes ids.
#[cfg_attr(feature = "mocks", mockall::automock)]
pub trait Ids: Send + Sync + 'static {
    /// A new `UUIDv7`.
    fn next(&self) -> Uuid;
}
