//! What the application needs from the world, as small traits with numbered rules.
//!
//! Lives here: the traits, the data that crosses them and their errors. Does not live here: any implementation, any
//! driver. The executable meaning of each rule (`S1`, `F2`, ...) is the port's suite in `port-contracts`.

pub mod auth;
pub mod cache;
pub mod clock;
pub mod dead_letters;
mod error;
pub mod feed;
pub mod inbound;
pub mod instances;
pub mod journal;
pub mod leases;
pub mod limits;
pub mod query;
pub mod store;
pub mod upkeep;
pub mod verification;
pub mod wakeups;

pub use error::{PortError, Written};
