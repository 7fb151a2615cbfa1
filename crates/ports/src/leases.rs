//! What only one instance may do at a time: the relay, maintenance.
//!
//! A lease saves work and noise; correctness never rests on it. A holder that was stopped for long and goes on may act
//! once more after its lease ran out, so whatever is done under a lease must be harmless when done twice.
//!
//! Rules:
//! * **E1** At any instant of the store's clock a lease has at most one holder.
//! * **E2** A holder that asks again keeps the lease and its term, from now on for as long as it asks for.
//! * **E3** A lease that ran out, or was released by its holder, can be had by anybody. Nobody else can release it.
//! * **E4** Each change of holder brings a higher term than all before.

use std::time::Duration;

use async_trait::async_trait;

use crate::PortError;

/// Gives leases.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Leases: Send + Sync + 'static {
    /// Takes or keeps the lease `name` for `holder`; answers the term, or nothing while somebody else has it.
    async fn hold(&self, name: &'static str, holder: &str, lasting: Duration) -> Result<Option<u64>, PortError>;

    /// Gives the lease back, if `holder` has it.
    async fn release(&self, name: &'static str, holder: &str) -> Result<(), PortError>;
}
