//! The unit of work: one transaction in a task of its own, which ends as a whole whether or not anybody waits for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use diesel::result::{DatabaseErrorKind, Error};
use diesel_async::{AsyncConnectionCore as _, AsyncPgConnection, SimpleAsyncConnection};
use domain::{CampaignKey, Timestamp};
use failpoints::Point;
use ports::PortError;
use ports::journal::Position;
use ports::wakeups::{Hint, Wakeups};
use tokio_util::task::TaskTracker;

use crate::ending::Ending;
use crate::failure::{Failure, refused, unavailable, unknown};
use crate::pools::{Lent, Pool};
use crate::sat_upon::SatUpon;
use crate::schema::statement;

/// How often a connection that turns out to be dead is replaced before anything was done on it.
pub(crate) const FRESH: usize = 3;

/// An async closure whose future may move between threads. A bound that stable Rust has no shorter way to write.
pub(crate) trait Work<A, R>: AsyncFnOnce(A) -> R + FnOnce(A) -> <Self as Work<A, R>>::Running {
    type Running: Future<Output = R>;
}

impl<F, A, R, Running> Work<A, R> for F
where
    F: AsyncFnOnce(A) -> R + FnOnce(A) -> Running,
    Running: Future<Output = R>,
{
    type Running = Running;
}

const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

statement! {
    /// BEGIN as a prepared statement, since what goes with it is prepared, too.
    Begin, BEGIN
}

/// Who begins the transaction of a unit of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begun {
    /// It is begun before the work.
    Before,
    /// The work does it by [`Unit::begin`], in one round trip with its first look.
    ByWork,
}

/// What a unit of work works with.
pub(crate) struct Unit {
    pub(crate) connection: Lent,
    pub(crate) ending: Ending,
    /// Where the campaigns that it holds are in their table.
    pub(crate) numbers: Numbers,
    /// What the world must know once it is committed.
    pub(crate) news: News,
}

impl Unit {
    /// Begins the transaction, without waiting for anything else: what is sent right behind it is part of it.
    pub(crate) async fn begin(&self) -> Result<(), Failure> {
        let mut connection: &AsyncPgConnection = &self.connection;
        connection.execute_returning_count(Begin).await.map(drop).map_err(|error| match Failure::from(error) {
            Failure::Port(error @ PortError::Unavailable { .. }) => Failure::NotBegun(error),
            other => other,
        })
    }
}

/// The numbers of campaigns.
pub(crate) type Numbers = HashMap<CampaignKey, i64>;

/// What the world must know once it is committed.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// The last fact's place, when there were facts.
    pub(crate) top: Option<Position>,
    pub(crate) armed: Option<Timestamp>,
}

impl News {
    /// A timer will fire at `at`.
    pub(crate) fn arm(&mut self, at: Timestamp) {
        self.armed = Some(self.armed.map_or(at, |known| known.min(at)));
    }
}

/// Where units of work run.
pub(crate) struct Writer {
    pub(crate) pool: Pool,
    limit: Duration,
    tasks: TaskTracker,
    wakeups: Arc<dyn Wakeups>,
    /// Whether the server said that it takes no writes, or has no room for them, and no fact was committed since.
    pub(crate) failing: AtomicBool,
    /// The highest position that this process has committed, or was told of.
    pub(crate) seen: AtomicU64,
    /// The last instant that this process gave, in microseconds.
    pub(crate) last_now: AtomicI64,
    /// Campaigns that somebody else held for too long, and that were not seen free since.
    pub(crate) sat_upon: SatUpon,
}

impl Writer {
    pub(crate) fn new(pool: Pool, limit: Duration, wakeups: Arc<dyn Wakeups>) -> Self {
        Self {
            pool,
            limit,
            tasks: TaskTracker::new(),
            wakeups,
            failing: AtomicBool::new(false),
            seen: AtomicU64::new(0),
            last_now: AtomicI64::new(i64::MIN),
            sat_upon: SatUpon::default(),
        }
    }

    /// Waits for the units that are under way, and takes no more.
    pub(crate) async fn close(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.pool.close();
    }

    /// Runs `work` in one transaction and answers when that is durable.
    pub(crate) async fn run<T, F>(self: &Arc<Self>, begun: Begun, work: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: for<'u> AsyncFnOnce(&'u mut Unit) -> Result<T, Failure>
            + for<'u> Work<&'u mut Unit, Result<T, Failure>, Running: Send>
            + Send
            + 'static,
    {
        let writer = Arc::clone(self);
        let ending = Ending::default();
        let end = ending.clone();
        let outcome = self.tasks.spawn(async move { writer.limited(begun, work, end).await }).await;
        let outcome = outcome.unwrap_or_else(|ended| match ended.try_into_panic() {
            // It may be written: whoever runs it again is told by the inbox.
            Ok(_) if ending.may_be_sent() => Err(unknown("a panic after COMMIT was sent").into()),
            Ok(panic) => {
                let text = panic.downcast_ref::<&str>().map(ToString::to_string);
                let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
                Err(refused(format!("the decision panicked: {text}")))
            }
            Err(cancelled) => Err(unknown(cancelled).into()),
        });
        if let Err(failure) = &outcome {
            self.note(failure);
        }
        outcome
    }

    /// `ending` tells, however this ends, whether COMMIT may have been sent.
    async fn limited<T, F>(&self, begun: Begun, work: F, ending: Ending) -> Result<T, Failure>
    where
        T: Send,
        F: for<'u> AsyncFnOnce(&'u mut Unit) -> Result<T, Failure>
            + for<'u> Work<&'u mut Unit, Result<T, Failure>, Running: Send>
            + Send,
    {
        match tokio::time::timeout(self.limit, self.transaction(begun, work, ending.clone())).await {
            Ok(outcome) => outcome,
            // The connection went with the future; the server rolls back what it did not commit.
            Err(elapsed) if ending.may_be_sent() => Err(unknown(elapsed).into()),
            Err(elapsed) => Err(unavailable(elapsed).into()),
        }
    }

    async fn transaction<T, F>(&self, begun: Begun, work: F, ending: Ending) -> Result<T, Failure>
    where
        F: for<'u> AsyncFnOnce(&'u mut Unit) -> Result<T, Failure>
            + for<'u> Work<&'u mut Unit, Result<T, Failure>, Running: Send>
            + Send,
    {
        let connection = match begun {
            Begun::Before => begin(&self.pool, BEGIN).await?,
            Begun::ByWork => Lent::from(&self.pool).await?,
        };
        let mut unit = Unit { connection, ending, numbers: Numbers::new(), news: News::default() };
        let value = match work(&mut unit).await {
            Ok(value) => value,
            Err(failure) => {
                // Without an answer the connection is closed, which rolls back as well.
                let is_over = unit.ending.may_be_sent() || matches!(failure, Failure::NotBegun(_));
                if !is_over
                    && unit.connection.batch_execute("ROLLBACK").await.is_ok()
                    && !matches!(failure, Failure::ReadOnly(_))
                {
                    unit.connection.give_back();
                }
                return Err(failure);
            }
        };
        if !unit.ending.may_be_sent() {
            unit.ending.commit(&unit.connection).await?;
        }
        if unit.news.top.is_some() {
            failpoints::pass(Point::StoreCommitted);
        }
        unit.connection.give_back();
        self.tell(&unit.news);
        Ok(value)
    }

    fn tell(&self, news: &News) {
        if let Some(top) = news.top {
            self.failing.store(false, Ordering::Relaxed);
            self.seen.fetch_max(top.0, Ordering::AcqRel);
            self.wakeups.announce(Hint::Committed);
        }
        if let Some(at) = news.armed {
            self.wakeups.announce(Hint::TimerArmed(at));
        }
    }

    /// Remembers whether the server can write at all, and leaves no connection to one that was demoted.
    fn note(&self, failure: &Failure) {
        match failure {
            Failure::ReadOnly(_) => {
                self.failing.store(true, Ordering::Relaxed);
                self.pool.retain(|_, _| false);
            }
            Failure::Port(PortError::Unavailable { source, .. } | PortError::Unknown { source, .. })
            | Failure::NotBegun(PortError::Unavailable { source, .. })
            | Failure::GivenUp(PortError::Unavailable { source, .. }) => {
                if has_no_room(source.as_ref()) {
                    self.failing.store(true, Ordering::Relaxed);
                }
            }
            Failure::Port(_) | Failure::NotBegun(_) | Failure::GivenUp(_) | Failure::Taken { .. } => {}
        }
    }
}

/// A connection within a transaction that was just begun.
pub(crate) async fn begin(pool: &Pool, how: &str) -> Result<Lent, Failure> {
    let mut dead = None;
    for _ in 0..FRESH {
        let mut connection = Lent::from(pool).await?;
        match connection.batch_execute(how).await {
            Ok(()) => return Ok(connection),
            Err(error) => dead = Some(error),
        }
    }
    Err(dead.map_or_else(|| unavailable("no connection").into(), Failure::from))
}

/// What the server says when it has no room left: what the system told it, and what it advises.
const NO_ROOM: [&str; 4] = ["No space left", "quota exceeded", "disk full", "free disk space"];

/// Whether the server said that its disk is full. diesel keeps no code of such errors, so it is told by the text, as a
/// server that speaks English has it. Any other error may be of one statement only, and says nothing of all writes.
fn has_no_room(source: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    match source.downcast_ref::<Error>() {
        Some(Error::DatabaseError(DatabaseErrorKind::Unknown, info)) => {
            let said = [Some(info.message()), info.hint()];
            said.into_iter().flatten().any(|text| NO_ROOM.iter().any(|sign| text.contains(sign)))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    //! What becomes of a unit of work that goes wrong. What the store makes of it is tested beside the crate.

    use diesel::sql_query;
    use diesel_async::RunQueryDsl;
    use futures_util::FutureExt as _;
    use test_servers::database::{self, FreshDatabase};

    use super::*;
    use crate::connect::{Connector, Role};
    use crate::ending::Sending;
    use crate::nobody::Nobody;
    use crate::pools::pool;
    use crate::settings::PostgresSettings;
    use crate::tls::{PRIMARY, Server};

    fn writer(limit: Duration) -> (FreshDatabase, Arc<Writer>) {
        let database = tokio::task::block_in_place(|| database::fresh("lifecycle_empty", |_| ()));
        database.psql("CREATE TABLE t (id integer PRIMARY KEY)");
        let settings = PostgresSettings::new(database.url().into());
        let server = Server::parse(PRIMARY, &settings.url).expect("a URL");
        let pool = pool(Connector::new(server, Role::Writer, &settings), 2, &settings);
        (database, Arc::new(Writer::new(pool, limit, Arc::new(Nobody))))
    }

    async fn insert(unit: &mut Unit, id: i32) -> diesel::QueryResult<usize> {
        sql_query(format!("INSERT INTO t VALUES ({id})")).execute(&mut *unit.connection).await
    }

    fn rows(database: &FreshDatabase) -> String {
        database.psql("SELECT count(*) FROM t")
    }

    const PLENTY: Duration = Duration::from_secs(8);

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_overlooked_error_is_never_told_as_success() {
        let (database, writer) = writer(PLENTY);
        let outcome = writer
            .run(Begun::Before, async move |unit: &mut Unit| {
                insert(unit, 1).await?;
                let _ = insert(unit, 1).await;
                Ok(())
            })
            .await;
        let error = outcome.expect_err("PostgreSQL rolled this back").into_port();
        assert!(matches!(error, PortError::Unknown { .. }), "{error:?}");
        assert_eq!(rows(&database), "0");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_error_of_the_commit_leaves_it_unknown() {
        let (database, writer) = writer(PLENTY);
        database.psql("CREATE TABLE u (id integer REFERENCES t DEFERRABLE INITIALLY DEFERRED)");
        let outcome = writer
            .run(Begun::Before, async move |unit: &mut Unit| {
                sql_query("INSERT INTO u VALUES (7)").execute(&mut *unit.connection).await?;
                Ok(())
            })
            .await;
        let error = outcome.expect_err("there is no 7").into_port();
        assert!(matches!(error, PortError::Unknown { .. }), "{error:?}");
    }

    /// Inserts 1, and commits behind `last`, which is to insert 2.
    async fn commit_behind(
        writer: &Arc<Writer>,
        last: impl for<'c> FnOnce(&'c mut &'c AsyncPgConnection) -> Sending<'c> + Send + 'static,
    ) -> Result<(), PortError> {
        let work = async move |unit: &mut Unit| {
            insert(unit, 1).await?;
            let (mut one, mut other): (&AsyncPgConnection, _) = (&unit.connection, &*unit.connection);
            let proof = RunQueryDsl::execute(sql_query("SELECT 1 / count(*) FROM t WHERE id = 2"), &mut other);
            unit.ending.commit_behind(&unit.connection, last(&mut one), proof.boxed()).await
        };
        writer.run(Begun::Before, work).await.map_err(Failure::into_port)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_commit_goes_with_its_last_statement_also_where_that_is_new_to_the_connection() {
        let (database, writer) = writer(PLENTY);
        let outcome = commit_behind(&writer, |on| sql_query("INSERT INTO t VALUES (2)").execute(on).boxed()).await;
        outcome.expect("it is committed");
        assert_eq!(rows(&database), "2");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nothing_is_committed_behind_a_statement_that_was_never_sent() {
        let (database, writer) = writer(PLENTY);
        let unsent = || Error::SerializationError("it is no text".into());
        let outcome = commit_behind(&writer, move |_| std::future::ready(Err(unsent())).boxed()).await;
        let error = outcome.expect_err("it was not sent");
        assert!(matches!(error, PortError::Refused { .. }), "{error:?}");
        assert_eq!(rows(&database), "0");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_panic_is_refused_and_leaves_nothing() {
        let (database, writer) = writer(PLENTY);
        let outcome: Result<(), _> = writer
            .run(Begun::Before, async move |unit: &mut Unit| {
                insert(unit, 1).await?;
                panic!("no decision")
            })
            .await;
        let error = outcome.expect_err("it panicked").into_port();
        assert!(error.to_string().contains("no decision"), "{error}");
        writer
            .run(Begun::Before, async move |unit: &mut Unit| Ok(insert(unit, 1).await?))
            .await
            .expect("the next one goes through");
        assert_eq!(rows(&database), "1");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_unit_that_takes_too_long_is_given_up_before_its_commit() {
        let (database, writer) = writer(Duration::from_millis(300));
        let outcome = writer
            .run(Begun::Before, async move |unit: &mut Unit| {
                insert(unit, 1).await?;
                sql_query("SELECT pg_sleep(1.5)").execute(&mut *unit.connection).await?;
                Ok(())
            })
            .await;
        let error = outcome.expect_err("its time is over").into_port();
        assert!(matches!(error, PortError::Unavailable { .. }), "{error:?}");
        writer
            .run(Begun::Before, async move |unit: &mut Unit| Ok(insert(unit, 2).await?))
            .await
            .expect("the next one goes through");
        assert_eq!(database.psql("SELECT id FROM t"), "2");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_server_that_was_demoted_is_left_and_told() {
        let (database, writer) = writer(PLENTY);
        writer
            .run(Begun::Before, async move |unit: &mut Unit| Ok(insert(unit, 1).await?))
            .await
            .expect("it takes writes");
        let outcome = writer
            .run(Begun::Before, async move |unit: &mut Unit| {
                sql_query("SET TRANSACTION READ ONLY").execute(&mut *unit.connection).await?;
                Ok(insert(unit, 2).await?)
            })
            .await;
        let error = outcome.expect_err("it takes none").into_port();
        assert!(matches!(error, PortError::Unavailable { .. }), "{error:?}");
        assert!(AtomicBool::load(&writer.failing, Ordering::Relaxed));
        assert_eq!(writer.pool.status().size, 0, "connections to it are kept");
        assert_eq!(rows(&database), "1");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn only_a_full_disk_is_told_as_failing_and_not_one_odd_statement() {
        let (_database, writer) = writer(PLENTY);
        let full = "DO $$ BEGIN RAISE EXCEPTION 'could not extend file \"base/1/2\": No space left on device' \
            USING ERRCODE = 'disk_full', HINT = 'Check free disk space.'; END $$";
        for (statement, failing) in [("SELECT 1/0", false), ("SELECT nothing()", false), (full, true)] {
            let outcome = writer
                .run(Begun::Before, async move |unit: &mut Unit| {
                    unit.connection.batch_execute(statement).await?;
                    Ok(())
                })
                .await;
            outcome.expect_err(statement);
            assert_eq!(AtomicBool::load(&writer.failing, Ordering::Relaxed), failing, "{statement}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_unit_that_is_left_alone_is_ended_by_the_server_while_others_still_wait() {
        let (database, writer) = writer(PLENTY);
        let settings = PostgresSettings::new(database.url().into());
        assert!(settings.idle_in_transaction < settings.statement);
        let outcome = writer
            .run(Begun::Before, async move |unit: &mut Unit| {
                insert(unit, 1).await?;
                // Frozen: nothing but time makes the server end it.
                tokio::time::sleep(settings.idle_in_transaction * 2).await;
                Ok(insert(unit, 2).await?)
            })
            .await;
        let error = outcome.expect_err("its session is gone").into_port();
        assert!(matches!(error, PortError::Unavailable { .. }), "{error:?}");
        assert_eq!(rows(&database), "0");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn closing_waits_for_what_is_under_way() {
        let (database, writer) = writer(PLENTY);
        let (started, starts) = tokio::sync::oneshot::channel();
        let busy = Arc::clone(&writer);
        let caller = tokio::spawn(async move {
            busy.run(Begun::Before, async move |unit: &mut Unit| {
                insert(unit, 1).await?;
                started.send(()).expect("the test waits");
                sql_query("SELECT pg_sleep(0.3)").execute(&mut *unit.connection).await?;
                Ok(())
            })
            .await
        });
        starts.await.expect("it begins");
        caller.abort();
        writer.close().await;
        assert_eq!(rows(&database), "1", "the caller left, and the unit went on");
    }
}
