//! The materialized views for dashboards: made anew, and summed up for gauges. What they show lives in `migrations`.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use domain::Status;
use ports::PortError;
use ports::query::StatusCounts;

use crate::failure::{Failure, unavailable};
use crate::postgres::{Freshness, Postgres};
use crate::rows::{parse, uint};

const VIEWS: [&str; 4] = ["campaign_counts", "pending_timers_by_hour", "fired_timers_by_hour", "transitions_by_hour"];

/// The whole store in a few numbers, over all tenants, as of the last refresh.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many campaigns are in each status; those without any are left out.
    pub campaigns: StatusCounts,
    /// How many timers of each kind are pending, by the contract's names.
    pub pending_timers: Vec<(String, u64)>,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    count: i64,
}

impl Postgres {
    /// Makes every view anew, while it can be read. One instance at a time; the second fails.
    ///
    /// # Errors
    /// [`PortError`]; the views before the one that failed are new.
    pub async fn refresh_read_models(&self) -> Result<(), PortError> {
        // A connection of its own: it may take long, and its time limit must not stay with a pooled one.
        let mut connection = Box::pin(self.writer.pool.manager().connect()).await.map_err(unavailable)?;
        connection.batch_execute("SET statement_timeout = '10min'").await.map_err(|e| Failure::from(e).into_port())?;
        for view in VIEWS {
            let refresh = format!("REFRESH MATERIALIZED VIEW CONCURRENTLY {view}");
            connection.batch_execute(&refresh).await.map_err(|e| Failure::from(e).into_port())?;
        }
        Ok(())
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
