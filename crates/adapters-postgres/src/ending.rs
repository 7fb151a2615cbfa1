//! The end of a transaction: how COMMIT is sent, and what is known when its answer does not come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use diesel_async::{AsyncConnectionCore as _, AsyncPgConnection, SimpleAsyncConnection};
use futures_util::future::BoxFuture;
use ports::PortError;

use crate::failure::{Failure, unknown};
use crate::schema::statement;

/// The end of a transaction, and whether it may have come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ending(Arc<AtomicBool>);

impl Ending {
    /// Whether COMMIT may have been sent.
    pub(crate) fn may_be_sent(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Commits.
    pub(crate) async fn commit(&self, mut connection: &AsyncPgConnection) -> Result<(), Failure> {
        self.0.store(true, Ordering::Relaxed);
        // PostgreSQL answers COMMIT with success when it rolled back because of an error that somebody overlooked. A
        // statement before it in the same message fails then, and the COMMIT is not run.
        connection.batch_execute("SELECT 1; COMMIT").await.map_err(|error| unknown(error).into())
    }

    /// Commits in one round trip with the `last` statement. `proof` is sent in between, and fails on the server unless `last`
    /// was run: whatever becomes of `last`, sent or not, nothing is committed without it.
    pub(crate) async fn commit_behind(
        &self,
        mut connection: &AsyncPgConnection,
        last: Sending<'_>,
        proof: Sending<'_>,
    ) -> Result<(), Failure> {
        self.0.store(true, Ordering::Relaxed);
        // All three pass the lock of the connection's prepared statements, which keeps them in this order. A COMMIT that is
        // no prepared statement would overtake one that is not known to the server yet.
        match futures_util::join!(last, proof, connection.execute_returning_count(Commit)) {
            (Ok(_), Ok(_), Ok(_)) => Ok(()),
            (Ok(_), Err(error), _) | (Ok(_), Ok(_), Err(error)) => Err(unknown(error).into()),
            // What was refused has ended the transaction. An answer that did not come says nothing.
            (Err(error), _, _) => match Failure::from(error) {
                Failure::Port(PortError::Unavailable { source, .. }) => Err(unknown(source).into()),
                definite => Err(definite),
            },
        }
    }
}

/// A statement that is sent when it is first asked.
pub(crate) type Sending<'a> = BoxFuture<'a, diesel::QueryResult<usize>>;

statement! {
    /// COMMIT as a prepared statement.
    Commit, "COMMIT"
}
