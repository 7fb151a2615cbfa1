//! The months of the journal: made ahead, and taken away when everything in them is over. Kept for ever unless somebody
//! asks for it.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Binary, Bool, Integer, Nullable, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use domain::Timestamp;
use ports::PortError;
use ports::journal::Position;
use wire::chain;

use crate::case_rows;
use crate::failure::{Failure, refused};
use crate::postgres::{Freshness, Postgres};
use crate::rows::uint;
use crate::unit::Unit;

/// How many months there always are, the current one included.
pub(crate) const AHEAD: i32 = 3;

/// How long a look at everything in one month may take.
const LOOK: Duration = Duration::from_mins(10);

/// What becomes of a month that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldMonths {
    /// It stays as a table of its own, `journal_YYYY_MM`, to be archived by somebody.
    Detach,
    /// It is deleted. A process that dies in the middle may leave it as a table of its own.
    Drop,
}

#[derive(QueryableByName)]
struct Made {
    #[diesel(sql_type = Integer)]
    made: i32,
}

/// A month of the journal, by its table.
#[derive(Debug, Clone, QueryableByName)]
struct Month {
    #[diesel(sql_type = Text)]
    name: String,
    /// Whether all of it is older than asked for.
    #[diesel(sql_type = Bool)]
    over: bool,
}

const MONTHS: &str = "\
SELECT relname::text AS name,
       (to_date(substr(relname, 9), 'YYYY_MM') + interval '1 month') AT TIME ZONE 'UTC' <= $1 AS over
FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent = 'journal'::regclass AND relname ~ '^journal_[0-9]{4}_[0-9]{2}$' ORDER BY 1";

/// What a month holds.
#[derive(QueryableByName)]
struct Contents {
    #[diesel(sql_type = Nullable<BigInt>)]
    last: Option<i64>,
    #[diesel(sql_type = Nullable<Binary>)]
    hash: Option<Vec<u8>>,
    /// A campaign that is not over, or is not stored, with a step in it.
    #[diesel(sql_type = Nullable<Text>)]
    alive: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    newest: Option<Timestamp>,
}

impl Postgres {
    /// Makes the journal's next months; answers how many were missing.
    ///
    /// # Errors
    /// [`PortError`].
    pub async fn make_months_ahead(&self) -> Result<u32, PortError> {
        let mut connection = self.for_long().await?;
        make(&mut connection, AHEAD).await.map_err(|error| Failure::from(error).into_port())
    }

    /// Takes the journal's oldest months away that ended before `before`, were published whole (up to `published`), and of
    /// whose campaigns none lives: proofs need the whole log of every campaign that is not over. Ends at the first month
    /// that must stay; answers the names of those that went.
    ///
    /// # Errors
    /// [`PortError::Refused`] when `before` is within what clients or the bus may still ask for; [`PortError`].
    pub async fn take_months_away(
        &self,
        before: Timestamp,
        published: Position,
        then: OldMonths,
    ) -> Result<Vec<String>, PortError> {
        let keep = self.settings.resume_retention.max(self.settings.outbox_retention);
        let months = self.read(Freshness::Now, async move |connection| months(connection, before, keep).await).await?;
        let mut gone = Vec::new();
        for name in months.into_iter().take_while(|month| month.over).map(|month| month.name) {
            let table = name.clone();
            let contents =
                self.read(Freshness::Now, async move |connection| contents(connection, &table).await).await?;
            if let Some(why) = must_stay(&contents, before, published) {
                tracing::info!(month = name, why, "a month of the journal stays");
                break;
            }
            let table = name.clone();
            let last = contents.last;
            self.write(async move |unit| detach(unit, &table, last).await).await?;
            if then == OldMonths::Drop {
                // By itself: deleting large files takes time, and nobody can commit while the head is held.
                let drop = format!("DROP TABLE {name}");
                self.write(async move |unit| Ok(unit.connection.batch_execute(&drop).await?)).await?;
            }
            let hash = contents.hash.and_then(|hash| hash.try_into().ok()).map(|hash| chain::to_hex(&hash));
            // Who audits the rest begins here.
            tracing::info!(month = name, floor = last, hash, ?then, "a month of the journal was taken away");
            gone.push(name);
        }
        Ok(gone)
    }
}

/// Makes the current month and those after it, `months` in all; answers how many were missing. What went to the default
/// partition of such a month moves, which may take long.
pub(crate) async fn make(connection: &mut AsyncPgConnection, months: i32) -> diesel::QueryResult<u32> {
    let made: Vec<Made> = sql_query("SELECT lifecycle_make_partitions(lifecycle_now(), $1) AS made")
        .bind::<Integer, _>(months)
        .load(connection)
        .await?;
    Ok(made.iter().map(|row| row.made.unsigned_abs()).sum())
}

async fn months(connection: &mut AsyncPgConnection, before: Timestamp, keep: Duration) -> Result<Vec<Month>, Failure> {
    let now: Timestamp =
        diesel::select(diesel::dsl::sql::<Timestamptz>("lifecycle_now()")).get_result(connection).await?;
    if chrono::TimeDelta::from_std(keep).map_or(true, |keep| before > now - keep) {
        return Err(refused("what clients or the bus may still ask for stays in the journal"));
    }
    Ok(sql_query(MONTHS).bind::<Timestamptz, _>(before).load(connection).await?)
}

async fn contents(connection: &mut AsyncPgConnection, table: &str) -> Result<Contents, Failure> {
    case_rows::allow(connection, LOOK).await?;
    // The name came from the catalogue, and has nothing but letters and digits.
    let look = format!(
        "SELECT max(position) AS last, max(at) AS newest, \
           (SELECT hash FROM {table} ORDER BY position DESC LIMIT 1) AS hash, \
           (SELECT old.tenant || '/' || old.campaign FROM {table} AS old \
            LEFT JOIN campaigns ON campaigns.tenant = old.tenant AND campaigns.id = old.campaign \
            WHERE old.sequence IS NOT NULL AND coalesce(campaigns.status NOT IN ('EXPIRED', 'CANCELLED'), true) \
            LIMIT 1) AS alive \
         FROM {table}"
    );
    let found: Vec<Contents> = sql_query(look).load(connection).await?;
    found.into_iter().next().ok_or_else(|| refused(format!("there is no {table}")))
}

/// Why a month must stay, if it must.
fn must_stay(contents: &Contents, before: Timestamp, published: Position) -> Option<String> {
    if let Some(alive) = &contents.alive {
        return Some(format!("campaign {alive} is not over"));
    }
    if contents.last.is_some_and(|last| uint(last) > published.0) {
        return Some(format!("only {published} is published"));
    }
    contents.newest.filter(|newest| *newest >= before).map(|newest| format!("it has a record of {newest}"))
}

async fn detach(unit: &mut Unit, table: &str, last: Option<i64>) -> Result<(), Failure> {
    // First the head, as every commit does before it writes to the journal: nobody waits in a circle.
    sql_query("UPDATE journal_head SET floor = greatest(floor, $1)")
        .bind::<BigInt, _>(last.unwrap_or(0))
        .execute(&mut *unit.connection)
        .await?;
    unit.connection.batch_execute(&format!("ALTER TABLE journal DETACH PARTITION {table}")).await?;
    Ok(())
}
