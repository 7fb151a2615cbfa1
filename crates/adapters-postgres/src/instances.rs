//! The processes that work on this database, by the database's clock.

use std::time::Duration;

use async_trait::async_trait;
use diesel::{sql_query, sql_types};
use diesel_async::RunQueryDsl;
use domain::Timestamp;
use ports::PortError;
use ports::instances::{Instance, Instances, SeenInstance};

use crate::failure::refused;
use crate::postgres::{Freshness, Postgres};
use crate::schema::statement;
use crate::unit::Unit;

statement! {
    Beat<'a> {
        id: &'a str as Text,
        version: &'a str as Text,
        started_at: Timestamp as Timestamptz,
    }
    "INSERT INTO instances (id, version, started_at, seen_at) VALUES (?, ?, ?, lifecycle_now()) \
     ON CONFLICT (id) DO UPDATE SET version = excluded.version, started_at = excluded.started_at, \
       seen_at = excluded.seen_at, stopped_at = NULL"
}

statement! {
    Leave<'a> {
        id: &'a str as Text,
    }
    "UPDATE instances SET stopped_at = lifecycle_now() WHERE id = ? AND stopped_at IS NULL"
}

statement! {
    Alive<'a> {
        within: &'a f64 as Double,
    } -> (
        sql_types::Text,
        sql_types::Text,
        sql_types::Timestamptz,
        sql_types::Timestamptz,
    ),
    "SELECT id, version, started_at, seen_at FROM instances \
     WHERE stopped_at IS NULL AND seen_at >= (SELECT lifecycle_now()) - make_interval(secs => ?) \
     ORDER BY started_at, id"
}

const FORGET: &str =
    "DELETE FROM instances WHERE greatest(seen_at, stopped_at) < lifecycle_now() - make_interval(secs => $1)";

/// How long it is kept who was there.
const KEPT: Duration = Duration::from_hours(7 * 24);

impl Postgres {
    /// Forgets instances that left, or gave no sign of life, a week ago; answers how many.
    ///
    /// # Errors
    /// [`PortError`].
    pub async fn forget_instances(&self) -> Result<u64, PortError> {
        self.write(async |unit: &mut Unit| {
            let forget = sql_query(FORGET).bind::<sql_types::Double, _>(KEPT.as_secs_f64());
            Ok(forget.execute(&mut *unit.connection).await? as u64)
        })
        .await
    }
}

#[async_trait]
impl Instances for Postgres {
    async fn beat(&self, instance: &Instance) -> Result<(), PortError> {
        let Instance { id, version, started_at } = instance.clone();
        self.write(async move |unit: &mut Unit| {
            Beat { id: &id, version: &version, started_at }.execute(&mut *unit.connection).await?;
            Ok(())
        })
        .await
    }

    async fn leave(&self, id: &str) -> Result<(), PortError> {
        let id = id.to_owned();
        self.write(async move |unit: &mut Unit| {
            Leave { id: &id }.execute(&mut *unit.connection).await?;
            Ok(())
        })
        .await
    }

    async fn alive(&self, within: Duration) -> Result<Vec<SeenInstance>, PortError> {
        type Row = (String, String, Timestamp, Timestamp);
        let within = within.as_secs_f64();
        if !within.is_finite() {
            return Err(refused("this is no span of time").into_port());
        }
        self.ask(Freshness::Now, async move |connection| {
            let rows: Vec<Row> = Alive { within: &within }.load(connection).await?;
            let seen = |(id, version, started_at, seen_at)| SeenInstance {
                instance: Instance { id, version, started_at },
                seen_at,
            };
            Ok(rows.into_iter().map(seen).collect())
        })
        .await
    }
}
