//! What a decision sees. Locks are taken here and nowhere else: campaigns first, in the order of their keys, and nothing
//! but campaigns; due timers are taken by their campaigns.

use chrono::TimeDelta;
use diesel::prelude::*;
use diesel::sql_types;
use diesel_async::RunQueryDsl;
use domain::{CampaignKey, Timestamp};
use ports::store::{CommandKey, DueTimer, InboxEntry, MAX_BATCH, Outcome, View};
use uuid::Uuid;

use crate::failure::{Failure, corrupt};
use crate::rows::{self, TimerCore, attempts, limit_of, uint};
use crate::schema::{journal_head, statement};
use crate::unit::Unit;

/// How long a due timer that cannot be read is left alone.
const UNREADABLE_PAUSE: TimeDelta = TimeDelta::minutes(1);

statement! {
    HoldCampaigns<'a> {
        tenants: Vec<&'a str> as Texts,
        ids: Vec<&'a str> as Texts,
    } -> (sql_types::BigInt, sql_types::Text, sql_types::Text, sql_types::Text),
    "SELECT c.number, c.tenant, c.id, c.body FROM campaigns c WHERE (c.tenant, c.id) IN (SELECT * FROM unnest(?, ?)) \
     ORDER BY c.tenant, c.id FOR UPDATE OF c"
}

statement! {
    /// Passes by the campaigns that another instance holds: it is at work on them. The clock is asked once, so that the
    /// index can be used.
    HoldDue<'a> {
        limit: &'a i64 as BigInt,
    } -> sql_types::BigInt,
    "SELECT c.number FROM timers t JOIN campaigns c ON c.tenant = t.tenant AND c.number = t.campaign \
     WHERE t.fire_at <= (SELECT lifecycle_now()) ORDER BY t.fire_at, t.rank, t.id LIMIT ? \
     FOR UPDATE OF c SKIP LOCKED"
}

statement! {
    /// Looks again, now that nobody else can change these campaigns' timers; by the clock that it tells.
    DueOf<'a> {
        campaigns: &'a [i64] as BigInts,
        limit: i64 as BigInt,
    } -> (
        (
            sql_types::Uuid,
            sql_types::Text,
            sql_types::Text,
            sql_types::Timestamptz,
            sql_types::BigInt,
            sql_types::Nullable<sql_types::Text>,
        ),
        sql_types::Integer,
        sql_types::BigInt,
        sql_types::Text,
        sql_types::Text,
        sql_types::Text,
        sql_types::Timestamptz,
        sql_types::Timestamptz,
    ),
    "WITH clock AS MATERIALIZED (SELECT lifecycle_now() AS now, at FROM journal_head WHERE one) \
     SELECT t.id, t.kind, t.name, t.due_at, t.generation, t.payload, t.attempts, c.number, c.tenant, c.id, c.body, \
       (SELECT now FROM clock), (SELECT at FROM clock) \
     FROM timers t JOIN campaigns c ON c.tenant = t.tenant AND c.number = t.campaign \
     WHERE t.campaign = ANY (?) AND t.fire_at <= (SELECT now FROM clock) \
     ORDER BY t.fire_at, t.rank, t.id LIMIT ?"
}

statement! {
    LookUpCommands<'a> {
        tenants: Vec<&'a str> as Texts,
        senders: Vec<&'a str> as Texts,
        commands: Vec<&'a str> as Texts,
    } -> (
        sql_types::Text,
        sql_types::Text,
        sql_types::Text,
        sql_types::Text,
        sql_types::Binary,
        sql_types::Text,
        sql_types::Nullable<sql_types::BigInt>,
        sql_types::Nullable<sql_types::Text>,
        sql_types::Nullable<sql_types::Text>,
        sql_types::Timestamptz,
    ),
    "SELECT tenant, sender, command, campaign, fingerprint, outcome, version, code, message, at FROM inbox \
     WHERE (tenant, sender, command) IN (SELECT * FROM unnest(?, ?, ?))"
}

statement! {
    PutOff<'a> {
        until: Timestamp as Timestamptz,
        ids: Vec<Uuid> as Uuids,
        errors: Vec<&'a str> as Texts,
    }
    "UPDATE timers t SET retry_at = o.until, fire_at = o.until, error = o.error, attempts = t.attempts + 1 \
     FROM (SELECT *, ? AS until FROM unnest(?, ?) AS u (id, error)) o WHERE t.id = o.id AND t.state = 'PENDING'"
}

diesel::define_sql_function! {
    /// The store's clock.
    fn lifecycle_now() -> Timestamptz;
}

/// The server's clock, and the time of the last fact.
pub(crate) type Clock = (Timestamp, Timestamp);

/// A due timer that cannot be read, and why.
pub(crate) type Unreadable = (Uuid, String);

/// Holds the campaigns of `keys` that exist, and shows them and what the inbox knows of `commands`.
pub(crate) async fn hold(
    unit: &mut Unit,
    view: &mut View,
    keys: &[CampaignKey],
    commands: &[CommandKey],
) -> Result<(), Failure> {
    let mut missing: Vec<&CampaignKey> = keys.iter().collect();
    hold_campaigns(unit, view, &mut missing).await?;
    loop {
        // A statement of its own sees what was committed while the one before it waited for its locks.
        look_up_commands(unit, view, commands).await?;
        // What does not exist cannot be held: a campaign may have come since, and its commands would be shown without it.
        if view.inbox.is_empty() || missing.is_empty() || !hold_campaigns(unit, view, &mut missing).await? {
            return Ok(());
        }
    }
}

/// Takes what it finds off `missing`; answers whether it found anything.
async fn hold_campaigns(unit: &mut Unit, view: &mut View, missing: &mut Vec<&CampaignKey>) -> Result<bool, Failure> {
    if missing.is_empty() {
        return Ok(false);
    }
    let hold = HoldCampaigns {
        tenants: missing.iter().map(|key| key.tenant.as_str()).collect(),
        ids: missing.iter().map(|key| key.id.as_str()).collect(),
    };
    let rows: Vec<(i64, String, String, String)> = hold.load(&mut *unit.connection).await?;
    let found = !rows.is_empty();
    for (number, tenant, id, body) in rows {
        let key = rows::key(&tenant, &id)?;
        unit.numbers.insert(key.clone(), number);
        show(view, key, &body);
    }
    missing.retain(|key| !view.campaigns.contains_key(*key) && !view.unreadable.contains_key(*key));
    Ok(found)
}

fn show(view: &mut View, key: CampaignKey, body: &str) {
    match rows::campaign(&key, body) {
        Ok(campaign) => drop(view.campaigns.insert(key, campaign)),
        Err(reason) => drop(view.unreadable.insert(key, reason)),
    }
}

/// Holds the campaigns of the timers that are due, and shows both; answers the due timers that cannot be read, and the clock.
pub(crate) async fn hold_due(
    unit: &mut Unit,
    view: &mut View,
    limit: usize,
) -> Result<(Vec<Unreadable>, Clock), Failure> {
    type Row = (TimerCore, i32, i64, String, String, String, Timestamp, Timestamp);
    let limit = limit_of(limit, MAX_BATCH);
    let mut numbers: Vec<i64> = HoldDue { limit: &limit }.load(&mut *unit.connection).await?;
    numbers.sort_unstable();
    numbers.dedup();
    let due: Vec<Row> = match numbers.as_slice() {
        [] => Vec::new(),
        campaigns => DueOf { campaigns, limit }.load(&mut *unit.connection).await?,
    };
    let clock = match due.as_slice() {
        [(.., now, committed), ..] => (*now, *committed),
        [] => clock(unit).await?,
    };
    let mut unreadable = Vec::new();
    for (core, tried, number, tenant, id, body, _, _) in due {
        match rows::key(&tenant, &id).and_then(|key| Ok((key, core.timer()?))) {
            Ok((key, timer)) => {
                if !view.campaigns.contains_key(&key) && !view.unreadable.contains_key(&key) {
                    unit.numbers.insert(key.clone(), number);
                    show(view, key.clone(), &body);
                }
                view.due.push(DueTimer { key, timer, attempts: attempts(tried) });
            }
            Err(failure) => {
                // Only a hand in the database can make this. The rest of the batch goes on; `verify` shows the row, and
                // `replay` writes it anew.
                let error = failure.into_port().to_string();
                tracing::error!(%error, campaign = id, "a due timer cannot be read and is put off");
                unreadable.push((core.id, error));
            }
        }
    }
    Ok((unreadable, clock))
}

/// Leaves these timers alone for a while.
pub(crate) async fn put_off(unit: &mut Unit, now: Timestamp, timers: &[Unreadable]) -> Result<(), Failure> {
    if timers.is_empty() {
        return Ok(());
    }
    let put_off = PutOff {
        until: now + UNREADABLE_PAUSE,
        ids: timers.iter().map(|(id, _)| *id).collect(),
        errors: timers.iter().map(|(_, error)| error.as_str()).collect(),
    };
    put_off.execute(&mut *unit.connection).await?;
    Ok(())
}

/// The server's clock, and the time of the last fact.
pub(crate) async fn clock(unit: &mut Unit) -> Result<Clock, Failure> {
    let asked = journal_head::table.select((lifecycle_now(), journal_head::at)).filter(journal_head::one);
    let answer: Vec<(Timestamp, Timestamp)> = asked.load(&mut *unit.connection).await?;
    answer.into_iter().next().ok_or_else(|| corrupt("the journal has no head"))
}

async fn look_up_commands(unit: &mut Unit, view: &mut View, commands: &[CommandKey]) -> Result<(), Failure> {
    if commands.is_empty() {
        return Ok(());
    }
    let look_up = LookUpCommands {
        tenants: commands.iter().map(|command| command.tenant.as_str()).collect(),
        senders: commands.iter().map(|command| command.sender.as_str()).collect(),
        commands: commands.iter().map(|command| command.id.as_str()).collect(),
    };
    let rows: Vec<InboxRow> = look_up.load(&mut *unit.connection).await?;
    for row in rows {
        let (command, entry) = row.entry()?;
        view.inbox.insert(command, entry);
    }
    Ok(())
}

#[derive(Queryable)]
struct InboxRow {
    tenant: String,
    sender: String,
    command: String,
    campaign: String,
    fingerprint: Vec<u8>,
    outcome: String,
    version: Option<i64>,
    code: Option<String>,
    message: Option<String>,
    at: Timestamp,
}

impl InboxRow {
    fn entry(self) -> Result<(CommandKey, InboxEntry), Failure> {
        let outcome = match (self.outcome.as_str(), self.version, self.code, self.message) {
            ("applied", Some(version), None, None) => Outcome::Applied { version: uint(version) },
            ("unchanged", Some(version), None, None) => Outcome::Unchanged { version: uint(version) },
            ("rejected", None, Some(code), Some(message)) => Outcome::Rejected { code, message },
            _ => return Err(corrupt(format!("the inbox entry of command {:?}", self.command))),
        };
        let key = rows::key(&self.tenant, &self.campaign)?;
        let entry = InboxEntry {
            key: key.clone(),
            fingerprint: self.fingerprint.try_into().map_err(|_| corrupt("a fingerprint is cut off"))?,
            outcome,
            at: self.at,
        };
        let id = rows::parse(&self.command, "command")?;
        Ok((CommandKey { tenant: key.tenant, sender: self.sender, id }, entry))
    }
}

#[cfg(test)]
mod tests {
    //! A view is whole, whatever is committed while it is put together.

    use std::sync::Arc;
    use std::time::Duration;

    use diesel::dsl::sql;
    use diesel_async::SimpleAsyncConnection as _;
    use port_contracts::fixtures::{command, definition, key, look, now};
    use port_contracts::orders::{Order, Orders};
    use ports::store::{Decision as _, Store};
    use ports::wakeups::{Hint, Sleeper, Wakeups};
    use test_servers::database;

    use super::*;
    use crate::pipeline::Pipeline;
    use crate::postgres::Postgres;
    use crate::settings::PostgresSettings;
    use crate::{campaign_writes, inbox_writes, migrate};

    struct Nobody;

    impl Wakeups for Nobody {
        fn announce(&self, _: Hint) {}

        fn subscribe(&self) -> Box<dyn Sleeper> {
            unreachable!("a store only announces")
        }
    }

    const WAITS_FOR_THE_INBOX: &str = "EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'inbox'::regclass \
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))";

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_commit_between_the_looks_at_campaigns_and_inbox_is_seen_as_a_whole() {
        let database = tokio::task::block_in_place(|| database::fresh("lifecycle_empty", |_| ()));
        // Time to wait for each other on a busy machine.
        let patience = Duration::from_secs(20);
        let settings = PostgresSettings {
            statement: patience,
            lock: patience,
            idle_in_transaction: patience,
            unit: patience,
            ..PostgresSettings::new(database.url().into())
        };
        migrate::up(&settings).await.expect("it is migrated");
        let postgres = Postgres::open(settings, Arc::new(Nobody)).await.expect("it opens");
        let store: Arc<dyn Store> = postgres.clone();
        let at = now(&store).await;
        let orders = ["a", "b"].map(|id| Order::create(&key(id), definition(at)).named(command(id)));
        let orders = Orders(orders.to_vec());
        let scope = orders.scope();
        let before = View { now: at, ..View::default() };
        let changes = orders.decide(&before);
        let commit = async move |unit: &mut Unit| {
            unit.connection.batch_execute("LOCK TABLE inbox").await?;
            // It finds no campaign, and waits before it gets to the inbox.
            let looking = tokio::spawn(async move { look(&store, scope).await });
            while !diesel::select(sql::<sql_types::Bool>(WAITS_FOR_THE_INBOX)).get_result(&mut *unit.connection).await?
            {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let mut pipeline = Pipeline::new(&unit.connection);
            campaign_writes::write(&mut pipeline, &unit.numbers, &before, &changes.campaigns).await?;
            inbox_writes::write(&mut pipeline, &changes.inbox).await?;
            pipeline.flush().await?;
            Ok(looking)
        };
        let looking = postgres.writer.run(commit).await.expect("it commits");
        let view = looking.await.expect("no panic");
        assert_eq!((view.campaigns.len(), view.inbox.len()), (2, 2), "half a commit is seen");
        postgres.close().await;
    }
}
