//! The read models for dashboards: made anew or counted on, and summed up for gauges. What they show lives in `migrations`.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use domain::{Status, Timestamp};
use ports::PortError;
use ports::query::StatusCounts;

use crate::failure::Failure;
use crate::postgres::{Freshness, Postgres};
use crate::rows::{parse, uint};

const VIEWS: [&str; 2] = ["campaign_counts", "pending_timers_by_hour"];

/// The whole store in a few numbers, over all tenants, as of the last refresh.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many campaigns are in each status; those without any are left out.
    pub campaigns: StatusCounts,
    /// How many timers of each kind are pending, by the contract's names.
    pub pending_timers: Vec<(String, u64)>,
}

#[derive(QueryableByName)]
struct Hour {
    #[diesel(sql_type = Timestamptz)]
    hour: Timestamp,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Hour by hour, so that no snapshot is held for long; whoever is cut off goes on where it was.
async fn count_hours(connection: &mut AsyncPgConnection) -> Result<(), Failure> {
    let hours: Vec<Hour> = sql_query("SELECT lifecycle_open_hours() AS hour").load(connection).await?;
    for Hour { hour } in hours {
        sql_query("SELECT lifecycle_count_hour($1)").bind::<Timestamptz, _>(hour).execute(connection).await?;
    }
    Ok(())
}

impl Postgres {
    /// Makes every view anew, while it can be read, and counts the hours that are open. May be given up at any point, and
    /// run by two at once: each view, and each hour, is one statement that commits by itself, and the second one waits.
    ///
    /// # Errors
    /// [`PortError`]; what came before the one that failed is new.
    pub async fn refresh_read_models(&self) -> Result<(), PortError> {
        let mut connection = self.for_long().await?;
        // Nobody waits for what waits here: views are read meanwhile.
        connection.batch_execute("SET lock_timeout = '1min'").await.map_err(|e| Failure::from(e).into_port())?;
        for view in VIEWS {
            let refresh = format!("REFRESH MATERIALIZED VIEW CONCURRENTLY {view}");
            connection.batch_execute(&refresh).await.map_err(|e| Failure::from(e).into_port())?;
        }
        count_hours(&mut connection).await.map_err(Failure::into_port)
    }

    /// Sums the views up.
    ///
    /// # Errors
    /// [`PortError`].
    pub async fn summary(&self) -> Result<Summary, PortError> {
        self.read(Freshness::Seen, async |connection| {
            let campaigns: Vec<Count> = sql_query(
                "SELECT status AS name, sum(campaigns)::bigint AS count FROM campaign_counts GROUP BY 1 ORDER BY 1",
            )
            .load(connection)
            .await?;
            let pending: Vec<Count> = sql_query(
                "SELECT kind AS name, sum(timers)::bigint AS count FROM pending_timers_by_hour GROUP BY 1 ORDER BY 1",
            )
            .load(connection)
            .await?;
            let mut campaigns = campaigns
                .into_iter()
                .map(|row| Ok((parse::<Status>(&row.name, "status")?, uint(row.count))))
                .collect::<Result<StatusCounts, Failure>>()?;
            campaigns.sort_unstable();
            let pending_timers = pending.into_iter().map(|row| (row.name, uint(row.count))).collect();
            Ok(Summary { campaigns, pending_timers })
        })
        .await
    }
}
