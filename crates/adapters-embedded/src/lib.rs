//! The embedded wiring: every port of storage and messaging on one `SQLite` file, and the small ports in this process.
//!
//! Lives here: SQL, threads, clocks. Does not live here: decisions, wire forms, HTTP.

pub mod cache;
mod checkpoint;
pub mod clock;
mod dead_letters;
mod embedded;
mod failure;
mod feed;
mod file;
mod findings;
mod inbound;
mod journal;
pub mod limits;
mod queries;
mod query_lists;
mod readers;
mod rebuild;
mod recent;
mod rows;
mod schema;
pub mod sole;
mod store;
mod store_clock;
mod timer_writes;
mod verification;
pub mod wakeups;
mod writer;

pub use embedded::{Embedded, EmbeddedSettings};
pub use feed::LIVE_BATCHES;
pub use file::OpenError;
