//! The settings of the servers, PostgreSQL and Redis: names, types, defaults, limits and what they mean.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::{Secret, Span};

/// See [`super::Config::postgres`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Postgres {
    /// The database, as in `postgres://user:password@host:5432/lifecycle?sslmode=verify-full&sslrootcert=ca.pem`;
    /// `DATABASE_URL` sets it, too. With it and `redis.url` the service works on servers, without them on the embedded store.
    pub(crate) url: Option<Secret>,
    /// A file that holds the address of the database, instead of `url`.
    pub(crate) url_file: Option<PathBuf>,
    /// A streaming replica that answers lists, histories and forecasts while it is up to date; `DATABASE_REPLICA_URL`
    /// sets it, too.
    pub(crate) replica_url: Option<Secret>,
    /// How many connections commit.
    #[schemars(range(min = 1, max = 64))]
    pub(crate) writers: usize,
    /// How many connections read.
    #[schemars(range(min = 1, max = 256))]
    pub(crate) readers: usize,
    /// How long one statement may take.
    #[schemars(extend("x-min" = "100ms", "x-max" = "1m"))]
    pub(crate) statement_timeout: Span,
    /// How long one statement may wait for a lock that somebody else holds.
    #[schemars(extend("x-min" = "10ms", "x-max" = "30s"))]
    pub(crate) lock_timeout: Span,
    /// How often the read models for dashboards are refreshed.
    #[schemars(extend("x-min" = "5s", "x-max" = "1d"))]
    pub(crate) refresh: Span,
    /// Whole months of the log older than this are detached from it. Not set: the log is kept for ever, and everything
    /// can be proved.
    #[schemars(extend("x-min" = "31d", "x-max" = "36500d"))]
    pub(crate) keep_log: Option<Span>,
}

impl Default for Postgres {
    fn default() -> Self {
        Self {
            url: None,
            url_file: None,
            replica_url: None,
            writers: 4,
            readers: 8,
            statement_timeout: Span::seconds(2),
            lock_timeout: Span::millis(500),
            refresh: Span::seconds(60),
            keep_log: None,
        }
    }
}

/// See [`super::Config::redis`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Redis {
    /// The server, as in `redis://user:password@host:6379/0`, or `rediss://`, `redis-sentinel://`, `redis-cluster://`;
    /// `REDIS_URL` sets it, too.
    pub(crate) url: Option<Secret>,
    /// A file that holds the address of the server, instead of `url`.
    pub(crate) url_file: Option<PathBuf>,
    /// What every key and stream name begins with. Services that share streams share it.
    pub(crate) prefix: String,
    /// A PEM file with the certificates that the server's is checked against. Not set: those of the system.
    pub(crate) ca_file: Option<PathBuf>,
    /// Go on with a warning, instead of refusing to start, on a server that may evict keys when its memory is full.
    pub(crate) allow_eviction: bool,
    /// How long inbound events that every consumer group has acknowledged are kept.
    #[schemars(extend("x-min" = "0s", "x-max" = "366d"))]
    pub(crate) keep_inbound: Span,
    /// How long outbound events are kept. Those that a consumer group has not acknowledged are kept longer.
    #[schemars(extend("x-min" = "1h", "x-max" = "366d"))]
    pub(crate) keep_outbound: Span,
}

impl Default for Redis {
    fn default() -> Self {
        Self {
            url: None,
            url_file: None,
            prefix: String::new(),
            ca_file: None,
            allow_eviction: false,
            keep_inbound: Span::seconds(86_400),
            keep_outbound: Span::seconds(7 * 86_400),
        }
    }
}
