//! What only one instance may do at a time, by the database's clock.

use std::time::Duration;

use async_trait::async_trait;
use diesel::sql_types;
use diesel_async::RunQueryDsl;
use ports::PortError;
use ports::leases::Leases;

use crate::postgres::Postgres;
use crate::rows::uint;
use crate::schema::statement;
use crate::unit::Unit;

statement! {
    /// Who asks while somebody else has it only reads: it locks nothing, and writes nothing. Whoever waited for the row sees
    /// what the one before it wrote.
    Hold<'a> {
        name: &'a str as Text,
        holder: &'a str as Text,
        lasting: f64 as Double,
    } -> sql_types::BigInt,
    "INSERT INTO leases AS known (name, holder, term, until) \
     SELECT name, holder, 1, lifecycle_now() + make_interval(secs => lasting) \
     FROM (SELECT ? AS name, ? AS holder, ? AS lasting) AS asked \
     WHERE NOT EXISTS (SELECT FROM leases AS theirs WHERE theirs.name = asked.name \
       AND theirs.holder <> asked.holder AND theirs.until > lifecycle_now()) \
     ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until, \
       term = known.term + (CASE WHEN known.holder = excluded.holder AND known.until > lifecycle_now() THEN 0 ELSE 1 END) \
     WHERE known.holder = excluded.holder OR known.until <= lifecycle_now() \
     RETURNING term"
}

statement! {
    /// The row stays, for its term.
    Release<'a> {
        name: &'a str as Text,
        holder: &'a str as Text,
    }
    "UPDATE leases SET until = lifecycle_now() WHERE name = ? AND holder = ? AND until > lifecycle_now()"
}

#[async_trait]
impl Leases for Postgres {
    async fn hold(&self, name: &'static str, holder: &str, lasting: Duration) -> Result<Option<u64>, PortError> {
        let holder = holder.to_owned();
        self.write(async move |unit: &mut Unit| {
            let hold = Hold { name, holder: &holder, lasting: lasting.as_secs_f64() };
            let terms: Vec<i64> = hold.load(&mut *unit.connection).await?;
            Ok(terms.into_iter().next().map(uint))
        })
        .await
    }

    async fn release(&self, name: &'static str, holder: &str) -> Result<(), PortError> {
        let holder = holder.to_owned();
        self.write(async move |unit: &mut Unit| {
            Release { name, holder: &holder }.execute(&mut *unit.connection).await?;
            Ok(())
        })
        .await
    }
}
