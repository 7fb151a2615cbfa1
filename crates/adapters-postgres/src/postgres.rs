//! The store as a whole: one database, those who write and those who read. What each port does with them lives beside this.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use ports::PortError;
use ports::journal::Position;
use ports::wakeups::Wakeups;

use crate::connect::{BY_ANY_WAY, Connector, Role};
use crate::failure::{Failure, unavailable};
use crate::open_error::OpenError;
use crate::pools::{Lent, Pool, pool};
use crate::replica::Replica;
use crate::settings::PostgresSettings;
use crate::tls::{PRIMARY, REPLICA, Server};
use crate::unit::{Begun, FRESH, Unit, Work, Writer, begin};
use crate::{migrate, partitions};

/// How new a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// As of now: from the primary.
    Now,
    /// All that this process has seen: a replica may do.
    Seen,
}

/// One PostgreSQL database that is store, journal and dead-letter queue, for this instance and others beside it.
pub struct Postgres {
    pub(crate) settings: PostgresSettings,
    pub(crate) writer: Arc<Writer>,
    pub(crate) readers: Pool,
    pub(crate) replica: Option<Replica>,
}

impl Postgres {
    /// Connects to a database that is migrated, and makes the journal's next months: the hourly look at them may have been
    /// long ago.
    ///
    /// # Errors
    /// [`OpenError`] says what to do.
    pub async fn open(settings: PostgresSettings, wakeups: Arc<dyn Wakeups>) -> Result<Arc<Self>, OpenError> {
        let connector = |role| -> Result<Connector, OpenError> {
            Ok(Connector::new(Server::parse(PRIMARY, &settings.url)?, role, &settings))
        };
        let writers = connector(Role::Writer)?;
        let mut connection = writers.connect().await?;
        migrate::check(&mut connection, writers.whom()).await?;
        prepare(&mut connection)
            .await
            .map_err(|e| OpenError::server(writers.whom(), "the current month of the journal cannot be made", e))?;
        let replica = match &settings.replica_url {
            Some(url) => Some(Connector::new(Server::parse(REPLICA, url)?, Role::Reader, &settings)),
            None => None,
        };
        let writer = Writer::new(pool(writers, settings.writers, &settings), settings.unit, wakeups);
        let readers = pool(connector(Role::Reader)?, settings.readers, &settings);
        let replica = replica.map(|connector| Replica::new(pool(connector, settings.readers, &settings)));
        Ok(Arc::new(Self { writer: Arc::new(writer), readers, replica, settings }))
    }

    /// Waits for the commits that are under way, and takes no more.
    pub async fn close(&self) {
        self.writer.close().await;
        self.readers.close();
        if let Some(replica) = &self.replica {
            replica.close();
        }
    }

    /// Somebody was told of `position`: no read of this process may be of a moment before it.
    pub(crate) fn saw(&self, position: Position) {
        self.writer.seen.fetch_max(position.0, Ordering::AcqRel);
    }

    /// Runs `work` on one consistent moment. It may run twice: when the replica gives no answer, the primary is asked.
    pub(crate) async fn read<T, F>(&self, freshness: Freshness, work: F) -> Result<T, PortError>
    where
        F: for<'c> AsyncFnOnce(&'c mut AsyncPgConnection) -> Result<T, Failure>
            + for<'c> Work<&'c mut AsyncPgConnection, Result<T, Failure>, Running: Send>
            + Clone
            + Send,
    {
        if freshness == Freshness::Seen
            && let Some(replica) = &self.replica
        {
            let seen = Position(self.writer.seen.load(Ordering::Acquire));
            if let Some(answer) = replica.read(seen, work.clone()).await {
                metrics::counter!("lifecycle_reads_total", "source" => "replica").increment(1);
                return Ok(answer);
            }
        }
        metrics::counter!("lifecycle_reads_total", "source" => "primary").increment(1);
        read_on(&self.readers, work).await.map_err(Failure::into_port)
    }

    /// Runs `work` that is one statement, which sees one consistent moment by itself: on the primary it costs one round trip,
    /// and no transaction around it. It may run more than once.
    pub(crate) async fn ask<T, F>(&self, freshness: Freshness, work: F) -> Result<T, PortError>
    where
        F: for<'c> AsyncFnOnce(&'c mut AsyncPgConnection) -> Result<T, Failure>
            + for<'c> Work<&'c mut AsyncPgConnection, Result<T, Failure>, Running: Send>
            + Clone
            + Send,
    {
        if freshness == Freshness::Seen && self.replica.is_some() {
            // How far the replica has come must be of the same moment.
            return self.read(freshness, work).await;
        }
        metrics::counter!("lifecycle_reads_total", "source" => "primary").increment(1);
        ask_on(&self.readers, work).await.map_err(Failure::into_port)
    }

    /// A connection to the primary for work that may take long, and that stands in nobody's way.
    pub(crate) async fn for_long(&self) -> Result<AsyncPgConnection, PortError> {
        let mut connection = Box::pin(self.writer.pool.manager().connect()).await.map_err(unavailable)?;
        take_time(&mut connection).await.map_err(|error| Failure::from(error).into_port())?;
        Ok(connection)
    }

    /// Runs `work` in one commit, which happens as a whole or not at all, whether or not anybody waits for it.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, PortError>
    where
        T: Send + 'static,
        F: for<'u> AsyncFnOnce(&'u mut Unit) -> Result<T, Failure>
            + for<'u> Work<&'u mut Unit, Result<T, Failure>, Running: Send>
            + Send
            + 'static,
    {
        self.writer.run(Begun::Before, work).await.map_err(Failure::into_port)
    }
}

/// Makes the journal's months. Of those to come each has time until it begins; the current one must be there.
async fn prepare(connection: &mut AsyncPgConnection) -> diesel::QueryResult<()> {
    take_time(connection).await?;
    let Err(error) = partitions::make(connection, partitions::AHEAD).await else { return Ok(()) };
    tracing::warn!(error = &error as &dyn std::error::Error, "the journal's next months cannot be made yet");
    partitions::make(connection, 1).await.map(drop)
}

/// Lets each statement take long, and read as much as it needs. The connection is of its own, so that this does not stay with a
/// pooled one.
async fn take_time(connection: &mut AsyncPgConnection) -> diesel::QueryResult<()> {
    connection.batch_execute(&format!("SET statement_timeout = '10min'; {BY_ANY_WAY}")).await
}

/// Runs `work`, which is one statement, on a connection of `pool`; again on another one where that turns out to be dead.
async fn ask_on<T, F>(pool: &Pool, work: F) -> Result<T, Failure>
where
    F: for<'c> AsyncFnOnce(&'c mut AsyncPgConnection) -> Result<T, Failure>
        + for<'c> Work<&'c mut AsyncPgConnection, Result<T, Failure>, Running: Send>
        + Clone
        + Send,
{
    let mut attempt = 1;
    loop {
        let mut connection = Lent::from(pool).await?;
        let answer = work.clone()(&mut connection).await;
        // After an error it is asked whether there is anybody still.
        let alive = answer.is_ok() || connection.batch_execute("SELECT 1").await.is_ok();
        if alive {
            connection.give_back();
        }
        if alive || attempt == FRESH {
            return answer;
        }
        attempt += 1;
    }
}

/// Runs `work` on one consistent moment of the server behind `pool`.
pub(crate) async fn read_on<T, F>(pool: &Pool, work: F) -> Result<T, Failure>
where
    F: for<'c> AsyncFnOnce(&'c mut AsyncPgConnection) -> Result<T, Failure>
        + for<'c> Work<&'c mut AsyncPgConnection, Result<T, Failure>, Running: Send>
        + Send,
{
    let mut connection = begin(pool, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let answer = work(&mut connection).await;
    // A connection that does not answer is closed.
    if connection.batch_execute("ROLLBACK").await.is_ok() {
        connection.give_back();
    }
    answer
}
