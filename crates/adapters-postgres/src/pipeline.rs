//! Statements of one transaction that are sent one behind the other, without waiting for an answer in between: a commit then
//! costs one round trip for what it writes. Which statements and in which order is the business of those who write.

use diesel::pg::Pg;
use diesel::query_builder::{QueryFragment, QueryId};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};

use crate::failure::Failure;

/// `join_all` looks at so few futures in their order. What is more is sent once these are answered.
const MOST: usize = 24;

/// Says from the number of changed rows whether a statement did what it should.
type Check = Box<dyn FnOnce(usize) -> Result<(), Failure> + Send>;

/// Statements that wait to be sent.
///
/// They reach the server in the order in which they were put in. Each future sends its statement the first time it is asked,
/// and they are asked in order; while a connection sees a statement for the first time, those behind it wait for the same
/// lock of its statements, which is handed on in order, too.
pub(crate) struct Pipeline<'c> {
    connection: &'c AsyncPgConnection,
    waiting: Vec<(BoxFuture<'c, diesel::QueryResult<usize>>, Check)>,
}

impl<'c> Pipeline<'c> {
    /// Nothing yet, for this connection.
    pub(crate) fn new(connection: &'c AsyncPgConnection) -> Self {
        Self { connection, waiting: Vec::new() }
    }

    /// The connection, for what comes after all that waits.
    pub(crate) fn connection(&self) -> &'c AsyncPgConnection {
        self.connection
    }

    /// Puts a statement behind the others.
    pub(crate) async fn push(
        &mut self,
        statement: impl QueryFragment<Pg> + QueryId + Send,
        check: impl FnOnce(usize) -> Result<(), Failure> + Send + 'static,
    ) -> Result<(), Failure> {
        if self.waiting.len() == MOST {
            self.flush().await?;
        }
        let mut connection = self.connection;
        let sending = RunQueryDsl::execute(statement, &mut connection).boxed();
        self.waiting.push((sending, Box::new(check)));
        Ok(())
    }

    /// Sends all that waits, and waits for the answers. Of several errors the first one is the cause of the others.
    pub(crate) async fn flush(&mut self) -> Result<(), Failure> {
        let (sending, checks): (Vec<_>, Vec<_>) = self.waiting.drain(..).unzip();
        for (answer, check) in join_all(sending).await.into_iter().zip(checks) {
            check(answer?)?;
        }
        Ok(())
    }
}
