//! What a decision sees. Locks are taken here and nowhere else: campaigns first, in the order of their keys, and nothing
//! but campaigns; due timers are taken by their campaigns.

use chrono::TimeDelta;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::sql_types;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::{CampaignKey, Timestamp};
use ports::store::{CommandKey, DueTimer, InboxEntry, MAX_BATCH, Outcome, View};
use uuid::Uuid;

use crate::failure::{Failure, corrupt, unavailable};
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
    /// The same, passing by those that somebody holds.
    HoldFreeCampaigns<'a> {
        tenants: Vec<&'a str> as Texts,
        ids: Vec<&'a str> as Texts,
    } -> (sql_types::BigInt, sql_types::Text, sql_types::Text, sql_types::Text),
    "SELECT c.number, c.tenant, c.id, c.body FROM campaigns c WHERE (c.tenant, c.id) IN (SELECT * FROM unnest(?, ?)) \
     FOR UPDATE OF c SKIP LOCKED"
}

statement! {
    /// Those that exist, whoever holds them.
    Existing<'a> {
        tenants: Vec<&'a str> as Texts,
        ids: Vec<&'a str> as Texts,
    } -> (sql_types::Text, sql_types::Text),
    "SELECT c.tenant, c.id FROM campaigns c WHERE (c.tenant, c.id) IN (SELECT * FROM unnest(?, ?))"
}

statement! {
    /// Holds the campaigns of due timers, and shows both; the clock after that in each row, of which there is always one.
    HoldDue<'a> {
        limit: &'a i64 as BigInt,
    } -> (
        (sql_types::Timestamptz, sql_types::Timestamptz),
        sql_types::Nullable<(
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
        )>,
    ),
    "SELECT now, committed, timer, kind, name, due_at, generation, payload, attempts, number, tenant, campaign, body \
     FROM lifecycle_hold_due(?)"
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

/// Begins, holds the campaigns of `waits` that exist, and those of `passes` that are free, too; shows them and what the inbox
/// knows of `commands`; answers the clock after that. Statements of their own, so that one sees what was committed while the one
/// before it waited for its locks.
pub(crate) async fn hold(
    unit: &mut Unit,
    view: &mut View,
    (waits, passes): (&[&CampaignKey], &[&CampaignKey]),
    commands: &[CommandKey],
) -> Result<Clock, Failure> {
    let connection = &unit.connection;
    // Sent in this order, in one round trip: who is waited for comes first.
    let (begun, held, free, existing, known, now) = futures_util::join!(
        unit.begin(),
        hold_campaigns(connection, waits),
        hold_free_campaigns(connection, passes),
        existing(connection, passes),
        look_up_commands(connection, commands),
        clock(connection),
    );
    begun?;
    let mut missing: Vec<&CampaignKey> = waits.iter().chain(passes).copied().collect();
    show_campaigns(unit, view, &mut missing, held.map_err(given_up)?)?;
    show_campaigns(unit, view, &mut missing, free?)?;
    for (tenant, id) in existing? {
        let key = rows::key(&tenant, &id)?;
        if !view.campaigns.contains_key(&key) && !view.unreadable.contains_key(&key) {
            view.busy.insert(key);
        }
    }
    missing.retain(|key| !view.busy.contains(*key));
    show_answers(view, known?)?;
    let mut now = now?;
    // What does not exist cannot be held: a campaign may have come since, and its commands would be shown without it.
    while !view.inbox.is_empty() && !missing.is_empty() {
        let held = hold_campaigns(&unit.connection, &missing).await?;
        if held.is_empty() {
            break;
        }
        show_campaigns(unit, view, &mut missing, held)?;
        show_answers(view, look_up_commands(&unit.connection, commands).await?)?;
        now = clock(&unit.connection).await?;
    }
    Ok(now)
}

/// Number, tenant, id and body.
type CampaignRow = (i64, String, String, String);

async fn hold_campaigns(mut on: &AsyncPgConnection, keys: &[&CampaignKey]) -> diesel::QueryResult<Vec<CampaignRow>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let (tenants, ids) = names(keys);
    HoldCampaigns { tenants, ids }.load(&mut on).await
}

async fn hold_free_campaigns(
    mut on: &AsyncPgConnection,
    keys: &[&CampaignKey],
) -> diesel::QueryResult<Vec<CampaignRow>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let (tenants, ids) = names(keys);
    HoldFreeCampaigns { tenants, ids }.load(&mut on).await
}

async fn existing(mut on: &AsyncPgConnection, keys: &[&CampaignKey]) -> diesel::QueryResult<Vec<(String, String)>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let (tenants, ids) = names(keys);
    Existing { tenants, ids }.load(&mut on).await
}

/// Tenants and ids.
fn names<'k>(keys: &[&'k CampaignKey]) -> (Vec<&'k str>, Vec<&'k str>) {
    keys.iter().map(|key| (key.tenant.as_str(), key.id.as_str())).unzip()
}

/// What ended the wait for campaigns. diesel does not tell a lock that was not free in time from other errors that go by.
fn given_up(error: Error) -> Failure {
    match error {
        Error::DatabaseError(DatabaseErrorKind::Unknown, _) => Failure::GivenUp(unavailable(error)),
        other => other.into(),
    }
}

/// Takes what was found off `missing`.
fn show_campaigns(
    unit: &mut Unit,
    view: &mut View,
    missing: &mut Vec<&CampaignKey>,
    found: Vec<CampaignRow>,
) -> Result<(), Failure> {
    for (number, tenant, id, body) in found {
        let key = rows::key(&tenant, &id)?;
        unit.numbers.insert(key.clone(), number);
        show(view, key, &body);
    }
    missing.retain(|key| !view.campaigns.contains_key(*key) && !view.unreadable.contains_key(*key));
    Ok(())
}

fn show(view: &mut View, key: CampaignKey, body: &str) {
    match rows::campaign(&key, body) {
        Ok(campaign) => drop(view.campaigns.insert(key, campaign)),
        Err(reason) => drop(view.unreadable.insert(key, reason)),
    }
}

/// Begins, holds the campaigns of the timers that are due, and shows both; answers the due timers that cannot be read, and the
/// clock after that.
pub(crate) async fn hold_due(
    unit: &mut Unit,
    view: &mut View,
    limit: usize,
) -> Result<(Vec<Unreadable>, Clock), Failure> {
    type Row = (TimerCore, i32, i64, String, String, String);
    let limit = limit_of(limit, MAX_BATCH);
    let mut connection: &AsyncPgConnection = &unit.connection;
    // Sent in this order, in one round trip.
    let hold = HoldDue { limit: &limit };
    let (begun, rows) = futures_util::join!(unit.begin(), hold.load::<(Clock, Option<Row>)>(&mut connection));
    begun?;
    let rows = rows?;
    let Some(&(now, _)) = rows.as_slice().first() else { return Err(corrupt("the journal has no head")) };
    let mut unreadable = Vec::new();
    for (core, tried, number, tenant, id, body) in rows.into_iter().filter_map(|(_, due)| due) {
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
    Ok((unreadable, now))
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
pub(crate) async fn clock(mut on: &AsyncPgConnection) -> Result<Clock, Failure> {
    let asked = journal_head::table.select((lifecycle_now(), journal_head::at)).filter(journal_head::one);
    let answer: Vec<(Timestamp, Timestamp)> = asked.load(&mut on).await?;
    answer.into_iter().next().ok_or_else(|| corrupt("the journal has no head"))
}

async fn look_up_commands(mut on: &AsyncPgConnection, commands: &[CommandKey]) -> diesel::QueryResult<Vec<InboxRow>> {
    if commands.is_empty() {
        return Ok(Vec::new());
    }
    let look_up = LookUpCommands {
        tenants: commands.iter().map(|command| command.tenant.as_str()).collect(),
        senders: commands.iter().map(|command| command.sender.as_str()).collect(),
        commands: commands.iter().map(|command| command.id.as_str()).collect(),
    };
    look_up.load(&mut on).await
}

fn show_answers(view: &mut View, found: Vec<InboxRow>) -> Result<(), Failure> {
    for row in found {
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
    use test_servers::database;

    use super::*;
    use crate::nobody::Nobody;
    use crate::pipeline::Pipeline;
    use crate::postgres::Postgres;
    use crate::settings::PostgresSettings;
    use crate::unit::Begun;
    use crate::{campaign_writes, inbox_writes, migrate};

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
        let looking = postgres.writer.run(Begun::Before, commit).await.expect("it commits");
        let view = looking.await.expect("no panic");
        assert_eq!((view.campaigns.len(), view.inbox.len()), (2, 2), "half a commit is seen");
        postgres.close().await;
    }
}
