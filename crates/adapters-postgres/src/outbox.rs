//! Facts that wait to be published, and where they begin. Who publishes them lives elsewhere.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use diesel::dsl::{AsSelect, SqlTypeOf};
use diesel::pg::Pg;
use diesel::sql_types::BigInt;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use ports::PortError;
use ports::feed::{MAX_READ, Outbox};
use ports::journal::{Position, Record};

use crate::failure::Failure;
use crate::postgres::{Freshness, Postgres};
use crate::rows::{JournalRow, int, limit_of, uint};
use crate::schema::statement;

/// Commits that run side by side take the times of their facts before their places, so times go back a little here and
/// there. Longer than a unit of work lives; no more than a quarter of what is asked for.
const DISORDER: Duration = Duration::from_mins(1);

/// Two thousand years, in microseconds: whatever is kept longer is kept for ever, and the calendar reaches back so far.
const LONGEST: i64 = 2_000 * 365 * 24 * 3_600 * 1_000_000;

statement! {
    /// The values are in subselects, where the planner does not look: it plans once and for all then. Left to itself it plans
    /// each time anew, hoping to find that the range is short, which takes several times as long as reading it.
    ReadRange<'a> {
        after: &'a i64 as BigInt,
        up_to: i64 as BigInt,
        limit: i64 as BigInt,
    } -> SqlTypeOf<AsSelect<JournalRow, Pg>>,
    "SELECT position, id, at, tenant, actor_kind, actor_subject, command, correlation, kind, data FROM journal \
     WHERE position > (SELECT ?) AND position <= (SELECT ?) ORDER BY position LIMIT (SELECT ?)"
}

statement! {
    // Halves between where the journal begins and `top`; one look at a primary key for each step.
    FirstSince<'a> {
        back_micros: &'a i64 as BigInt,
        top: i64 as BigInt,
    } -> BigInt,
    "WITH RECURSIVE since AS (SELECT lifecycle_now() - ? * interval '1 microsecond' AS at), \
     search (low, high) AS ( \
       SELECT floor, greatest(floor, ?) FROM journal_head \
       UNION ALL \
       SELECT CASE WHEN next.at < since.at THEN middle.position ELSE search.low END, \
              CASE WHEN next.at < since.at THEN search.high ELSE middle.position - 1 END \
       FROM search CROSS JOIN since \
         CROSS JOIN LATERAL (SELECT (search.low + search.high) / 2 + 1 AS position) AS middle \
         LEFT JOIN LATERAL (SELECT at FROM journal WHERE journal.position = middle.position) AS next ON true \
       WHERE search.low < search.high) \
     SELECT low FROM search WHERE low = high"
}

#[async_trait]
impl Outbox for Postgres {
    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<Record>>, PortError> {
        self.ask(Freshness::Now, async move |connection| {
            read_range(connection, after, Position(u64::MAX), limit_of(limit, MAX_READ)).await
        })
        .await
    }

    async fn begin(&self) -> Result<Position, PortError> {
        let retention = self.settings.outbox_retention;
        self.read(Freshness::Now, async move |connection| {
            let head = crate::queries::head(connection).await?;
            first_since(connection, retention, head).await
        })
        .await
    }
}

/// At most `limit` records in `(after, up_to]`, in order.
pub(crate) async fn read_range(
    connection: &mut AsyncPgConnection,
    after: Position,
    up_to: Position,
    limit: i64,
) -> Result<Vec<Arc<Record>>, Failure> {
    let rows: Vec<JournalRow> = ReadRange { after: &int(after.0), up_to: int(up_to.0), limit }.load(connection).await?;
    rows.iter().map(|row| row.record().map(Arc::new)).collect()
}

/// A position, at most `top`, after which all of the last `retention` is, and hardly more.
pub(crate) async fn first_since(
    connection: &mut AsyncPgConnection,
    retention: Duration,
    top: Position,
) -> Result<Position, Failure> {
    let back = i64::try_from(retention.saturating_add(DISORDER.min(retention / 4)).as_micros()).unwrap_or(i64::MAX);
    let search = FirstSince { back_micros: &back.min(LONGEST), top: int(top.0) };
    Ok(Position(uint(search.get_result::<i64>(connection).await?)))
}
