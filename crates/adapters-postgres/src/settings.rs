//! What can be set about PostgreSQL, with defaults. Where the values come from is the binary's business.

use std::time::Duration;

use secrecy::SecretString;

/// What can be set about PostgreSQL.
#[derive(Debug, Clone)]
pub struct PostgresSettings {
    /// `postgres://user:password@host:port/database?sslmode=verify-full&sslrootcert=ca.pem`.
    pub url: SecretString,
    /// A streaming replica that may answer ordinary reads.
    pub replica_url: Option<SecretString>,
    /// The instance, as `pg_stat_activity` shows it: `lifecycle/<instance>`.
    pub instance: String,
    /// How many connections write at once.
    pub writers: usize,
    /// How many connections read at once.
    pub readers: usize,
    /// How long a request waits for a free connection.
    pub wait: Duration,
    /// How long a connection may take to come up.
    pub connect: Duration,
    /// The server gives up a statement that takes longer.
    pub statement: Duration,
    /// The server gives up a statement that waits longer for a lock; but for the journal's head, where all commits queue.
    pub lock: Duration,
    /// The server ends a unit of work that is left alone for so long: a process that is frozen while it holds the
    /// journal's head stops every commit of every instance until then. Decisions are pure and take milliseconds. Less than
    /// `statement`, so that those who wait for the head outlast it.
    pub idle_in_transaction: Duration,
    /// This side gives up a unit of work that takes longer, with its connection.
    pub unit: Duration,
    /// How far back clients may resume. The journal itself is kept for ever.
    pub resume_retention: Duration,
    /// How far back facts are published again when the bus lost them.
    pub outbox_retention: Duration,
}

impl PostgresSettings {
    /// The defaults for the server at `url`.
    pub fn new(url: SecretString) -> Self {
        Self {
            url,
            replica_url: None,
            instance: "one".to_owned(),
            writers: 4,
            readers: 8,
            wait: Duration::from_secs(1),
            connect: Duration::from_secs(3),
            statement: Duration::from_secs(2),
            lock: Duration::from_millis(500),
            idle_in_transaction: Duration::from_secs(1),
            unit: Duration::from_secs(8),
            resume_retention: Duration::from_hours(7 * 24),
            outbox_retention: Duration::from_hours(7 * 24),
        }
    }
}
