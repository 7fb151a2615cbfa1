//! The servers that the service and its baselines are measured on: durable ones, made for this run, told only what a
//! machine of this size would be told in production.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use test_servers::{Postgres, Redis};

/// `fsync`, `full_page_writes` and `synchronous_commit` stay on, as they are by default.
const POSTGRES: &[(&str, &str)] = &[
    ("shared_buffers", "1GB"),
    ("max_wal_size", "8GB"),
    ("checkpoint_timeout", "15min"),
    ("wal_compression", "lz4"),
    // Says when a row was committed, to the microsecond, without the service's help.
    ("track_commit_timestamp", "on"),
    // Says how long a flush takes.
    ("track_wal_io_timing", "on"),
    ("shared_preload_libraries", "pg_stat_statements"),
];

/// The append-only file is written and synced each second. It is not rewritten while it is as small as here; a rewrite takes one
/// of the two cores for seconds, at random.
const REDIS: &[&str] = &["--auto-aof-rewrite-min-size", "4gb"];

/// PostgreSQL and Redis of this run.
pub(crate) struct Servers {
    postgres: Postgres,
    redis: Redis,
    made: AtomicUsize,
}

impl Servers {
    pub(crate) fn start() -> Self {
        Self { postgres: Postgres::start_with(POSTGRES), redis: Redis::start_with(REDIS), made: AtomicUsize::new(0) }
    }

    /// An empty database and an empty Redis.
    pub(crate) fn fresh(&self) -> Result<Place<'_>> {
        let database = format!("bench_{}", self.made.fetch_add(1, Ordering::Relaxed));
        self.postgres.make_database(&database)?;
        self.redis.cli(&["flushall"]);
        Ok(Place { servers: self, database })
    }

    /// What runs here.
    pub(crate) fn versions(&self) -> [(&'static str, String); 2] {
        let postgres = self.postgres.psql("postgres", "SHOW server_version");
        let info = self.redis.cli(&["info", "server"]);
        let redis = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or("?");
        [("PostgreSQL", postgres.trim().to_owned()), ("Redis", redis.trim().to_owned())]
    }
}

/// One database on the servers, and the whole of Redis. The database is dropped with it.
pub(crate) struct Place<'a> {
    servers: &'a Servers,
    database: String,
}

impl Place<'_> {
    pub(crate) fn database_url(&self) -> String {
        self.servers.postgres.url(&self.database)
    }

    pub(crate) fn redis_url(&self) -> String {
        self.servers.redis.url()
    }

    /// Runs SQL; a line a row, values between `|`.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.servers.postgres.psql(&self.database, sql)
    }

    /// The one number that `sql` answers.
    pub(crate) fn number(&self, sql: &str) -> Result<f64> {
        let answer = self.sql(sql);
        answer.trim().parse().with_context(|| format!("{answer:?} is no number: {sql}"))
    }

    /// Forgets what the servers have counted.
    pub(crate) fn begin_profile(&self) {
        self.sql("CREATE EXTENSION IF NOT EXISTS pg_stat_statements");
        self.sql("SELECT pg_stat_statements_reset()");
        self.redis(&["config", "resetstat"]);
    }

    /// What the servers were busy with since: PostgreSQL's statements by time, and Redis' commands.
    pub(crate) fn profile(&self) -> String {
        let statements = self.sql(
            "SELECT calls || ' × ' || round(mean_exec_time::numeric, 3) || ' ms = ' || round(total_exec_time) || ' ms, ' \
               || rows || ' rows, ' || pg_size_pretty(wal_bytes) || ' WAL: ' || left(regexp_replace(query, '[[:space:]]+', ' ', 'g'), 110) \
             FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) \
             ORDER BY total_exec_time DESC LIMIT 16",
        );
        let commands = self.redis(&["info", "commandstats"]);
        format!("{statements}\n{commands}")
    }

    /// Runs a command of Redis.
    pub(crate) fn redis(&self, command: &[&str]) -> String {
        self.servers.redis.cli(command)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // What it left behind would be written during the next measurement.
        self.servers.postgres.psql("postgres", &format!("DROP DATABASE {} WITH (FORCE)", self.database));
        self.servers.postgres.psql("postgres", "CHECKPOINT");
    }
}
