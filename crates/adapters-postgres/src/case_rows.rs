//! The rows of many campaigns at once, in a few statements: what proofs and rebuilds read. What the rows must say lives
//! beside this.

use std::collections::HashMap;
use std::time::Duration;

use diesel::dsl::{AsSelect, SqlTypeOf};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use domain::{CampaignKey, Status};

use crate::failure::Failure;
use crate::findings::CampaignRow;
use crate::rows::{self, JournalRow, TimerCore, TimerProgress, limit_of};
use crate::schema::{journal_head, statement, timers};

statement! {
    // Each half ends by itself, and the log is read from one campaign to the next along its index: where the planner knows the
    // key after which a page begins, it takes nearly nothing to come after it, and sorts all the rest of the log for every page.
    KeysAfter<'a> {
        log_tenant: &'a str as Text,
        log_campaign: &'a str as Text,
        tenant: &'a str as Text,
        id: &'a str as Text,
        limit: i64 as BigInt,
        log_limit: i64 as BigInt,
        both: i64 as BigInt,
    } -> (Text, Text),
    "WITH RECURSIVE logged AS ( \
       SELECT ?::text COLLATE \"C\" AS tenant, ?::text COLLATE \"C\" AS campaign \
       UNION ALL \
       SELECT next.tenant, next.campaign FROM logged CROSS JOIN LATERAL ( \
         SELECT tenant, campaign FROM journal \
         WHERE campaign IS NOT NULL AND sequence IS NOT NULL AND (tenant, campaign) > (logged.tenant, logged.campaign) \
         ORDER BY tenant, campaign LIMIT 1) AS next \
     ) \
     (SELECT tenant, id FROM campaigns WHERE (tenant, id) > (?, ?) ORDER BY tenant, id LIMIT ?) \
     UNION \
     (SELECT tenant, campaign FROM logged OFFSET 1 LIMIT ?) \
     ORDER BY 1, 2 LIMIT ?"
}

statement! {
    SelectCampaigns<'a> {
        tenants: Vec<&'a str> as Texts,
        ids: Vec<&'a str> as Texts,
    } -> SqlTypeOf<AsSelect<CampaignRow, Pg>>,
    "SELECT number, tenant, id, version, status, owner, start_at, end_at, body FROM campaigns \
     WHERE (tenant, id) IN (SELECT * FROM unnest(?, ?))"
}

statement! {
    LockCampaigns<'a> {
        tenants: Vec<&'a str> as Texts,
        ids: Vec<&'a str> as Texts,
    }
    "SELECT FROM campaigns WHERE (tenant, id) IN (SELECT * FROM unnest(?, ?)) ORDER BY tenant, id FOR UPDATE"
}

statement! {
    // One look along the index for each campaign: as a range of keys, the server would rather walk through a whole tenant.
    SelectLogs<'a> {
        tenants: Vec<&'a str> as Texts,
        campaigns: Vec<&'a str> as Texts,
    } -> (SqlTypeOf<AsSelect<JournalRow, Pg>>, Text, Nullable<BigInt>),
    "SELECT log.* FROM unnest(?, ?) AS keys (tenant, campaign) CROSS JOIN LATERAL ( \
       SELECT position, id, at, tenant, actor_kind, actor_subject, command, correlation, kind, data, campaign, sequence \
       FROM journal WHERE journal.tenant = keys.tenant AND journal.campaign = keys.campaign AND kind <> 'rejected' \
       ORDER BY position) AS log"
}

fn tenants(keys: &[CampaignKey]) -> Vec<&str> {
    keys.iter().map(|key| key.tenant.as_str()).collect()
}

fn ids(keys: &[CampaignKey]) -> Vec<&str> {
    keys.iter().map(|key| key.id.as_str()).collect()
}

/// Lets the statements of this transaction take longer than requests may.
pub(crate) async fn allow(connection: &mut AsyncPgConnection, limit: Duration) -> Result<(), Failure> {
    connection.batch_execute(&format!("SET LOCAL statement_timeout = {}", limit.as_millis())).await?;
    Ok(())
}

/// The campaigns after `after`, by key: those that are stored, and those of which there is only a log.
pub(crate) async fn keys_after(
    connection: &mut AsyncPgConnection,
    after: Option<&CampaignKey>,
    limit: usize,
) -> Result<Vec<CampaignKey>, Failure> {
    let (tenant, id) = after.map_or(("", ""), |key| (key.tenant.as_str(), key.id.as_str()));
    let limit = limit_of(limit, ports::store::MAX_BATCH);
    let keys = KeysAfter { tenant, id, limit, log_tenant: tenant, log_campaign: id, log_limit: limit, both: limit };
    let keys: Vec<(String, String)> = keys.load(connection).await?;
    keys.iter().map(|(tenant, id)| rows::key(tenant, id)).collect()
}

/// Holds these campaigns, as far as they are stored, until the end of the transaction.
pub(crate) async fn lock(connection: &mut AsyncPgConnection, keys: &[CampaignKey]) -> Result<(), Failure> {
    LockCampaigns { tenants: tenants(keys), ids: ids(keys) }.execute(connection).await?;
    Ok(())
}

/// These campaigns, as far as they are stored.
pub(crate) async fn campaigns(
    connection: &mut AsyncPgConnection,
    keys: &[CampaignKey],
) -> Result<HashMap<CampaignKey, CampaignRow>, Failure> {
    let select = SelectCampaigns { tenants: tenants(keys), ids: ids(keys) };
    let found: Vec<CampaignRow> = select.load(connection).await?;
    found.into_iter().map(|row| Ok((rows::key(&row.tenant, &row.id)?, row))).collect()
}

/// A record of a campaign's journal with its sequence, if it has one.
pub(crate) type LogRow = (JournalRow, Option<i64>);

/// The journals of these campaigns but for rejections, each in order.
pub(crate) async fn logs(
    connection: &mut AsyncPgConnection,
    keys: &[CampaignKey],
) -> Result<HashMap<CampaignKey, Vec<LogRow>>, Failure> {
    let select = SelectLogs { tenants: tenants(keys), campaigns: ids(keys) };
    let found: Vec<(JournalRow, String, Option<i64>)> = select.load(connection).await?;
    let mut logs: HashMap<CampaignKey, Vec<LogRow>> = HashMap::new();
    for (row, campaign, sequence) in found {
        logs.entry(rows::key(&row.tenant, &campaign)?).or_default().push((row, sequence));
    }
    Ok(logs)
}

/// A row of the timer table with its tenant.
pub(crate) type ArmedRow = (TimerCore, TimerProgress, String);

/// The timers of campaigns by the campaigns' numbers, in every state.
pub(crate) async fn timers(
    connection: &mut AsyncPgConnection,
    numbers: &[i64],
) -> Result<HashMap<i64, Vec<ArmedRow>>, Failure> {
    let found: Vec<(TimerCore, TimerProgress, String, i64)> = timers::table
        .select((TimerCore::as_select(), TimerProgress::as_select(), timers::tenant, timers::campaign))
        .filter(timers::campaign.eq_any(numbers))
        .order((timers::due_at, timers::id))
        .load(connection)
        .await?;
    let mut by_campaign: HashMap<i64, Vec<ArmedRow>> = HashMap::new();
    for (core, progress, tenant, campaign) in found {
        by_campaign.entry(campaign).or_default().push((core, progress, tenant));
    }
    Ok(by_campaign)
}

/// Whether the beginning of the log went with an old month (see `partitions.rs`): nothing can be folded, or is missing.
pub(crate) fn is_archived(floor: i64, row: Option<&CampaignRow>, log: &[LogRow]) -> bool {
    let begins = log.iter().find_map(|(row, sequence)| sequence.map(|sequence| (sequence, row.position)));
    let over = row.is_none_or(|row| row.status.parse::<Status>().is_ok_and(Status::is_terminal));
    floor > 0 && over && begins.is_none_or(|(sequence, _)| sequence > 1)
}

/// The position that the oldest months went up to.
pub(crate) async fn floor(connection: &mut AsyncPgConnection) -> Result<i64, Failure> {
    Ok(journal_head::table.select(journal_head::floor).get_result(connection).await?)
}
