//! Statements of one transaction that are sent one behind the other, without waiting for an answer in between: a commit then
//! costs one round trip for what it writes. Which statements and in which order is the business of those who write.

use diesel::pg::Pg;
use diesel::query_builder::{QueryFragment, QueryId};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt as _;
use futures_util::future::join_all;

use crate::ending::Sending;
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
    waiting: Vec<(Sending<'c>, Check)>,
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

#[cfg(test)]
mod tests {
    //! What the order rests on is the driver's; here it is seen.

    use diesel::sql_query;
    use diesel::sql_types::Text;
    use test_servers::database;

    use super::*;
    use crate::connect::{Connector, Role};
    use crate::failure::refused;
    use crate::settings::PostgresSettings;
    use crate::tls::{PRIMARY, Server};

    #[derive(diesel::QueryableByName)]
    struct Written {
        #[diesel(sql_type = Text)]
        text: String,
    }

    async fn connection(database: &database::FreshDatabase) -> AsyncPgConnection {
        database.psql("CREATE TABLE t (text text NOT NULL); INSERT INTO t VALUES ('')");
        let settings = PostgresSettings::new(database.url().into());
        let server = Server::parse(PRIMARY, &settings.url).expect("a URL");
        Connector::new(server, Role::Writer, &settings).connect().await.expect("a connection")
    }

    /// More than are sent at once; half of them are new to the connection, the others are known to it by then.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn statements_reach_the_server_in_order_whether_or_not_they_were_prepared_before() {
        let database = tokio::task::block_in_place(|| database::fresh("lifecycle_empty", |_| ()));
        let connection = connection(&database).await;
        let mut expected = String::new();
        let mut pipeline = Pipeline::new(&connection);
        for n in 0..3 * MOST {
            let letter = char::from(b'a' + u8::try_from(n % 20).expect("small"));
            expected.push(letter);
            let append = sql_query(format!("UPDATE t SET text = text || '{letter}'"));
            let one = |changed| if changed == 1 { Ok(()) } else { Err(refused("one row")) };
            pipeline.push(append, one).await.expect("it is sent");
        }
        pipeline.flush().await.expect("all are answered");
        let mut reading = &connection;
        let rows: Vec<Written> = sql_query("SELECT text FROM t").load(&mut reading).await.expect("it is read");
        assert_eq!(rows[0].text, expected);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn of_several_errors_the_cause_is_told() {
        let database = tokio::task::block_in_place(|| database::fresh("lifecycle_empty", |_| ()));
        let connection = connection(&database).await;
        let mut begin = &connection;
        sql_query("BEGIN").execute(&mut begin).await.expect("it begins");
        let mut pipeline = Pipeline::new(&connection);
        for text in ["UPDATE t SET text = 'a'", "UPDATE t SET text = NULL", "UPDATE t SET text = 'b'"] {
            pipeline.push(sql_query(text), |_| Ok(())).await.expect("it waits");
        }
        let error = pipeline.flush().await.expect_err("a text is no NULL").into_port();
        assert!(error.to_string().contains("null value"), "{error}");
    }
}
