//! The write side: hold what a scope names, ask the decision, commit what it wants. What each table takes lives beside this.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use diesel_async::RunQueryDsl;
use domain::Timestamp;
use failpoints::Point;
use ports::PortError;
use ports::store::{Changes, Decision, Receipt, Scope, Store, View};

use crate::failure::{Failure, STORE};
use crate::inbox_writes::{self, ForgetCommands};
use crate::journal_writes::Appended;
use crate::pipeline::Pipeline;
use crate::postgres::Postgres;
use crate::rows::limit_of;
use crate::unit::{Begun, Unit, Writer};
use crate::{campaign_writes, dead_letters, journal_writes, loading, timer_writes};

/// How often a decision runs when somebody else took a campaign's id or answered a command in the meantime, and how many
/// connections are tried.
const ATTEMPTS: usize = 3;

/// How many inbox entries one commit forgets.
const FORGET_PORTION: usize = 1_000;

#[async_trait]
impl Store for Postgres {
    async fn transact(&self, scope: Scope, decision: Arc<dyn Decision>) -> Result<Receipt, PortError> {
        let scope = Arc::new(scope);
        let mut attempt = 1;
        let mut patience = Patience::Waits;
        loop {
            let (writer, scope_now, decision) = (Arc::clone(&self.writer), Arc::clone(&scope), Arc::clone(&decision));
            let outcome = self
                .writer
                .run(Begun::ByWork, async move |unit: &mut Unit| {
                    transact(unit, &writer, &scope_now, patience, decision.as_ref()).await
                })
                .await;
            match outcome {
                // Which campaign it was is seen by passing by.
                Err(Failure::GivenUp(_)) if patience == Patience::Waits => patience = Patience::Passes,
                // Nothing could be locked of what did not exist yet; now it does, and the decision must see it.
                Err(Failure::Taken { constraint, .. }) if appears(&constraint) && attempt < ATTEMPTS => attempt += 1,
                Err(Failure::NotBegun(_)) if attempt < ATTEMPTS => attempt += 1,
                Err(Failure::Taken { constraint, .. }) if constraint == CAMPAIGN_ID && names_campaigns(&scope) => {
                    return Err(PortError::Contended { what: STORE });
                }
                outcome => return outcome.map_err(Failure::into_port),
            }
        }
    }

    async fn forget_commands(&self, before: Timestamp) -> Result<u64, PortError> {
        let mut forgotten = 0;
        loop {
            let portion = self
                .write(async move |unit: &mut Unit| {
                    let forget = ForgetCommands { before: &before, portion: limit_of(FORGET_PORTION, FORGET_PORTION) };
                    Ok(forget.execute(&mut *unit.connection).await?)
                })
                .await?;
            forgotten += portion as u64;
            if portion < FORGET_PORTION {
                return Ok(forgotten);
            }
        }
    }
}

/// The constraint that a second campaign of the same name breaks.
const CAMPAIGN_ID: &str = "campaigns_id";

/// Whether the row behind a broken constraint may have come after the scope was held.
fn appears(constraint: &str) -> bool {
    constraint == CAMPAIGN_ID || constraint == "inbox_pkey"
}

fn names_campaigns(scope: &Scope) -> bool {
    matches!(scope, Scope::Campaigns { keys, .. } if !keys.is_empty())
}

/// What a unit of work does about campaigns that somebody else holds (S11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// Waits for them, but for those that are known to be sat upon.
    Waits,
    /// Does without.
    Passes,
}

async fn transact(
    unit: &mut Unit,
    writer: &Writer,
    scope: &Scope,
    patience: Patience,
    decision: &dyn Decision,
) -> Result<Receipt, Failure> {
    let mut view = View::default();
    let (unreadable, clock) = match scope {
        Scope::Campaigns { keys, commands } => {
            let (waits, passes) = match patience {
                Patience::Waits => writer.sat_upon.part(keys),
                Patience::Passes => (Vec::new(), keys.iter().collect()),
            };
            let clock = loading::hold(unit, &mut view, (&waits, &passes), commands).await?;
            writer.sat_upon.learn(&passes, &view.busy);
            if patience == Patience::Passes
                && let Some(campaign) = view.busy.iter().next()
            {
                let campaigns = view.busy.len();
                tracing::warn!(campaigns, %campaign, "somebody else holds campaigns; commands about others go on");
            }
            failpoints::pass(Point::StoreBegun);
            (Vec::new(), clock)
        }
        Scope::Due { limit } => loading::hold_due(unit, &mut view, *limit).await?,
    };
    view.now = now(clock, writer);
    loading::put_off(unit, view.now, &unreadable).await?;
    let due = view.due.len();
    let changes = decision.decide(&view);
    let appended = apply(unit, &view, changes).await?;
    Ok(Receipt { now: view.now, first_position: appended.first, due, next_due: appended.next_due })
}

/// The store's clock (S4): the server's, but never behind what this process said or what anybody committed.
pub(crate) fn now((now, committed): loading::Clock, writer: &Writer) -> Timestamp {
    let now = now.max(committed);
    let micros = now.timestamp_micros();
    let floor = writer.last_now.fetch_max(micros, Ordering::AcqRel);
    if floor > micros { Timestamp::from_timestamp_micros(floor).unwrap_or(now) } else { now }
}

/// Writes `changes`.
async fn apply(unit: &mut Unit, view: &View, changes: Changes) -> Result<Appended, Failure> {
    if !changes.letters.is_empty() {
        dead_letters::add(&mut unit.connection, &changes.letters).await?;
    }
    let Unit { connection, ending, numbers, news } = unit;
    let mut pipeline = Pipeline::new(connection);
    campaign_writes::write(&mut pipeline, numbers, view, &changes.campaigns).await?;
    timer_writes::write(&mut pipeline, numbers, news, &changes.timers).await?;
    inbox_writes::write(&mut pipeline, &changes.inbox).await?;
    // Last, since all commits of the store wait for each other from here on.
    let between = (!changes.inbox.is_empty()).then_some(Point::StoreInboxWritten);
    journal_writes::append(pipeline, ending, news, &changes.facts, between).await
}

#[cfg(test)]
mod tests {
    //! What is run for each commit is parsed and planned once. No statistics of the server tell when it is not.

    use diesel::sql_query;
    use diesel::sql_types::{BigInt, Text};
    use diesel_async::AsyncPgConnection;
    use port_contracts::fixtures::{definition, key, now};
    use port_contracts::orders::{FireDue, create};
    use ports::feed::{MAX_READ, Outbox};
    use ports::journal::Position;
    use test_servers::database::{self, FreshDatabase};

    use super::*;
    use crate::migrate;
    use crate::nobody::Nobody;
    use crate::postgres::Freshness;
    use crate::settings::PostgresSettings;

    /// A statement that a connection has prepared.
    #[derive(diesel::QueryableByName)]
    struct Known {
        #[diesel(sql_type = Text)]
        statement: String,
        #[diesel(sql_type = BigInt)]
        runs: i64,
        #[diesel(sql_type = BigInt)]
        planned_anew: i64,
    }

    async fn known(on: &mut AsyncPgConnection) -> Result<Vec<Known>, Failure> {
        let ask = "SELECT statement, generic_plans + custom_plans AS runs, custom_plans AS planned_anew \
            FROM pg_prepared_statements WHERE statement NOT LIKE '%pg_prepared_statements%'";
        Ok(sql_query(ask).load(on).await?)
    }

    /// A store with one connection that writes and one that reads, and a campaign each for so many firings.
    async fn open(firings: usize) -> (FreshDatabase, Arc<Postgres>) {
        let database = tokio::task::block_in_place(|| database::fresh("lifecycle_empty", |_| ()));
        let settings = PostgresSettings { writers: 1, readers: 1, ..PostgresSettings::new(database.url().into()) };
        migrate::up(&settings).await.expect("it is migrated");
        let postgres = Postgres::open(settings, Arc::new(Nobody)).await.expect("it opens");
        let store: Arc<dyn Store> = postgres.clone();
        for n in 0..firings {
            create(&store, &key(&format!("c-{n}")), definition(now(&store).await)).await;
        }
        database.psql(
            "CREATE OR REPLACE FUNCTION lifecycle_now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE \
             AS 'SELECT clock_timestamp() + interval ''1 minute'''",
        );
        (database, postgres)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_commit_runs_what_its_connection_has_prepared_and_planned_before() {
        let (_database, postgres) = open(2).await;
        for _ in 0..2 {
            let fired = postgres.transact(Scope::Due { limit: 1 }, Arc::new(FireDue)).await.expect("firing");
            assert_eq!(fired.due, 1);
        }
        let known = postgres.write(async move |unit: &mut Unit| known(&mut unit.connection).await).await;
        let known = known.expect("it is told");
        for begin in [
            "BEGIN",
            "SELECT now, committed, timer",
            "UPDATE campaigns",
            "UPDATE timers",
            "INSERT INTO timers",
            "SELECT position, hash",
            "WITH moved",
            "SELECT 1 / count(*) FROM journal_head",
            "COMMIT",
        ] {
            let of: Vec<_> = known.iter().filter(|known| known.statement.starts_with(begin)).collect();
            assert!(matches!(of[..], [one] if one.runs >= 2 && one.planned_anew == 0), "{begin}");
        }
        postgres.close().await;
    }

    /// The server makes five plans before it believes that none is better than one for all values.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_log_is_read_by_one_plan_for_all_ranges() {
        let (database, postgres) = open(1).await;
        database.psql(
            "INSERT INTO journal (position, id, at, tenant, actor_kind, actor_subject, kind, data, hash) \
             SELECT position + n, gen_random_uuid(), at, tenant, actor_kind, actor_subject, kind, data, hash \
             FROM journal, generate_series(1, 100000) n; \
             ANALYZE journal",
        );
        for _ in 0..8 {
            let records = Outbox::read(postgres.as_ref(), Position(100_000), MAX_READ).await.expect("reading");
            assert_eq!(records.len(), 1);
        }
        let known = postgres.ask(Freshness::Now, async |connection| known(connection).await).await;
        let known = known.expect("it is told");
        let reads: Vec<_> =
            known.iter().filter(|known| known.statement.starts_with("SELECT position, id, at")).collect();
        assert!(matches!(reads[..], [one] if one.runs == 8 && one.planned_anew == 5));
        postgres.close().await;
    }
}
