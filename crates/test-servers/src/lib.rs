//! Throw-away PostgreSQL and Redis servers for tests and development: found on this machine, started in a folder of their
//! own, gone with the process that started them. Knows nothing of this project's data.
//!
//! Two ways lead to a server. Most tests share the two that `cargo xtask test` starts ([`shared`]), each in a database of
//! its own ([`database`]). A test that kills its server starts one for itself ([`Postgres`], [`Redis`]).
//!
//! What tests call panics with what it saw; what tools call ([`shared::Servers`], [`find`]) returns errors.

mod children;
pub mod database;
pub mod find;
mod guard;
mod place;
mod ports;
mod postgres;
mod psql;
mod redis;
mod server;
pub mod shared;
mod tls;

use std::time::Duration;

pub use postgres::Postgres;
pub use redis::Redis;

/// How long a server may take to start or to stop on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often a condition is looked at that nobody announces.
const GLANCE: Duration = Duration::from_millis(10);
