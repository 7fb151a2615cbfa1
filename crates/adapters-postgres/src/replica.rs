//! Ordinary reads from a streaming replica, as long as it is new enough. What must be of now never comes here.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use ports::journal::Position;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::pools::Pool;
use crate::queries::head;
use crate::unit::{Work, begin};

/// How long a replica that failed is left alone: each attempt may take a connection's whole time limit.
const REST: Duration = Duration::from_secs(5);

/// A replica, and whether it may be asked.
pub(crate) struct Replica {
    pool: Pool,
    failed: Mutex<Option<Instant>>,
}

impl Replica {
    pub(crate) fn new(pool: Pool) -> Self {
        Self { pool, failed: Mutex::new(None) }
    }

    pub(crate) fn close(&self) {
        self.pool.close();
    }

    /// Runs `work` on one consistent moment that is not before `seen`; none when the primary must be asked.
    pub(crate) async fn read<T, F>(&self, seen: Position, work: F) -> Option<T>
    where
        F: for<'c> AsyncFnOnce(&'c mut AsyncPgConnection) -> Result<T, Failure>
            + for<'c> Work<&'c mut AsyncPgConnection, Result<T, Failure>, Running: Send>
            + Send,
    {
        if self.rests() {
            return None;
        }
        match self.attempt(seen, work).await {
            Ok(answer) => answer,
            Err(failure) => {
                let error = failure.into_port();
                // What the data, or the question, is to blame for, the primary says better.
                if error.may_retry() {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the replica is left alone for a moment");
                    *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                }
                None
            }
        }
    }

    async fn attempt<T, F>(&self, seen: Position, work: F) -> Result<Option<T>, Failure>
    where
        F: for<'c> AsyncFnOnce(&'c mut AsyncPgConnection) -> Result<T, Failure>
            + for<'c> Work<&'c mut AsyncPgConnection, Result<T, Failure>, Running: Send>
            + Send,
    {
        let mut connection = begin(&self.pool, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        // The same moment for the head and for all that follows.
        let answer = match head(&mut connection).await {
            Ok(position) if position < seen => Ok(None),
            Ok(_) => work(&mut connection).await.map(Some),
            Err(failure) => Err(failure),
        };
        if connection.batch_execute("ROLLBACK").await.is_ok() {
            connection.give_back();
        }
        answer
    }

    fn rests(&self) -> bool {
        let failed = *self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.is_some_and(|at| at.elapsed() < REST)
    }
}
