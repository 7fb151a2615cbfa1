//! The store on PostgreSQL: every port of storage, for many instances at once.
//!
//! Lives here: SQL, connections, transactions, migrations. Does not live here: decisions, wire forms, HTTP, Redis.

mod bind;
mod campaign_writes;
mod case_rows;
mod connect;
mod dead_letters;
mod ending;
mod failure;
mod feed;
mod findings;
mod inbox_writes;
mod instances;
mod journal_writes;
mod leases;
mod loading;
pub mod migrate;
#[cfg(test)]
mod nobody;
mod open_error;
mod outbox;
mod partitions;
mod pipeline;
mod pools;
mod postgres;
mod queries;
mod query_lists;
mod read_models;
mod rebuild;
mod replica;
mod rows;
mod sat_upon;
mod schema;
mod settings;
mod store;
mod timer_writes;
mod tls;
mod unit;
mod upkeep;
mod verification;

pub use feed::{JournalFeed, LIVE_BATCHES};
pub use open_error::OpenError;
pub use partitions::OldMonths;
pub use postgres::Postgres;
pub use read_models::Summary;
pub use settings::PostgresSettings;
