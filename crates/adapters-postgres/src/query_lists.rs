//! Lists in pages. A page begins right after the last item of the one before (keyset), so inserts neither hide nor repeat.

use chrono::Datelike;
use diesel::dsl::sql;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::{Campaign, OwnerId, Status, TenantId, Timestamp};
use ports::PortError;
use ports::query::{CampaignFilter, MAX_PAGE, Page, PageCursor, PageRequest, TimerFilter, TimerRow};
use uuid::Uuid;

use crate::failure::{Failure, refused};
use crate::postgres::{Freshness, Postgres};
use crate::rows::{self, TimerCore, TimerProgress, limit_of};
use crate::schema::{campaigns, of_campaign, timers};

pub(crate) async fn campaigns(
    store: &Postgres,
    tenant: &TenantId,
    filter: &CampaignFilter,
    page: &PageRequest,
) -> Result<Page<Campaign>, PortError> {
    let after = page.after.as_ref().map(|cursor| number_of(cursor, 'c')).transpose()?;
    if filter.id_prefix.as_ref().is_some_and(|prefix| !prefix.is_ascii() || prefix.contains('\0')) {
        return Ok(Page { items: Vec::new(), next: None }); // ids are printable ASCII
    }
    let limit = page.limit.clamp(1, MAX_PAGE);
    let (tenant, filter) = (tenant.clone(), filter.clone());
    store
        .read(Freshness::Seen, async move |connection| {
            let rows = campaign_rows(connection, &tenant, &filter, after, limit + 1).await?;
            let next = next_cursor(&rows, limit, |(number, ..)| format!("c{number}"));
            let items = rows.into_iter().take(limit).filter_map(|(_, id, body)| {
                let campaign = rows::key(tenant.as_str(), &id)
                    .map_err(|failure| failure.into_port().to_string())
                    .and_then(|key| rows::campaign(&key, &body));
                // One that cannot be read must not hide the others; it says so where it is asked for by name.
                campaign.inspect_err(|error| tracing::error!(%tenant, id, error, "a campaign cannot be read")).ok()
            });
            Ok(Page { items: items.collect(), next })
        })
        .await
}

type CampaignTuple = (i64, String, String);

async fn campaign_rows(
    connection: &mut AsyncPgConnection,
    tenant: &TenantId,
    filter: &CampaignFilter,
    after: Option<i64>,
    limit: usize,
) -> Result<Vec<CampaignTuple>, Failure> {
    let rows = limit_of(limit, MAX_PAGE + 1);
    if filter.statuses.is_empty() {
        return Ok(campaign_query(tenant, filter, None, after, rows).load(connection).await?);
    }
    // One walk along the index for each status: with a list of them the server would walk through all campaigns, or sort.
    let mut statuses = filter.statuses.clone();
    statuses.sort_unstable();
    statuses.dedup();
    let mut found: Vec<CampaignTuple> = Vec::new();
    for status in statuses {
        found.extend(campaign_query(tenant, filter, Some(status), after, rows).load(connection).await?);
    }
    found.sort_unstable_by_key(|(number, ..)| std::cmp::Reverse(*number));
    found.truncate(limit);
    Ok(found)
}

type CampaignQuery<'a> = campaigns::BoxedQuery<'a, Pg, (diesel::sql_types::BigInt, Text, Text)>;

fn campaign_query<'a>(
    tenant: &'a TenantId,
    filter: &'a CampaignFilter,
    status: Option<Status>,
    after: Option<i64>,
    rows: i64,
) -> CampaignQuery<'a> {
    let mut query = campaigns::table
        .select((campaigns::number, campaigns::id, campaigns::body))
        .filter(campaigns::tenant.eq(tenant.as_str()))
        .into_boxed();
    if let Some(status) = status {
        query = query.filter(campaigns::status.eq(status.as_str()));
    }
    if let Some(owner) = &filter.owner {
        query = query.filter(campaigns::owner.eq(owner.as_str()));
    }
    if let Some(from) = filter.from {
        query = query.filter(campaigns::end_at.gt(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(campaigns::start_at.lt(to));
    }
    if let Some(prefix) = filter.id_prefix.as_deref().filter(|p| !p.is_empty()) {
        // Not LIKE: no character of the prefix means anything, and a plan that is made for all prefixes uses the index as
        // well. Ids are ASCII, so all that begin with `prefix` sort below `prefix` and the last character there is.
        query = query.filter(campaigns::id.ge(prefix)).filter(campaigns::id.lt(format!("{prefix}{}", char::MAX)));
    }
    if let Some(after) = after {
        query = query.filter(campaigns::number.lt(after));
    }
    query.order(campaigns::number.desc()).limit(rows)
}

pub(crate) async fn timers(
    store: &Postgres,
    tenant: &TenantId,
    owner: Option<OwnerId>,
    filter: TimerFilter,
    page: &PageRequest,
) -> Result<Page<TimerRow>, PortError> {
    let after = page.after.as_ref().map(timer_place).transpose()?;
    let limit = page.limit.clamp(1, MAX_PAGE);
    let tenant = tenant.clone();
    store
        .ask(Freshness::Seen, async move |connection| {
            let rows = timer_rows(connection, &tenant, owner.as_ref(), filter, after, limit + 1).await?;
            let next = next_cursor(&rows, limit, |(core, ..)| timer_cursor(core));
            let items = rows.into_iter().take(limit).filter_map(|(core, progress, id)| {
                let row = rows::key(tenant.as_str(), &id).and_then(|key| rows::timer_row(key, &core, progress));
                let row = row.map_err(Failure::into_port);
                row.inspect_err(|error| tracing::error!(%tenant, id, %error, "a timer cannot be read")).ok()
            });
            Ok(Page { items: items.collect(), next })
        })
        .await
}

type TimerTuple = (TimerCore, TimerProgress, String);

async fn timer_rows(
    connection: &mut AsyncPgConnection,
    tenant: &TenantId,
    owner: Option<&OwnerId>,
    filter: TimerFilter,
    after: Option<(Timestamp, Uuid)>,
    limit: usize,
) -> Result<Vec<TimerTuple>, Failure> {
    let mut query = timers::table
        .inner_join(campaigns::table.on(of_campaign()))
        .select((TimerCore::as_select(), TimerProgress::as_select(), campaigns::id))
        .filter(timers::tenant.eq(tenant.as_str()))
        .into_boxed();
    // Literals: a partial index serves only what the server can see when it plans.
    query = match filter {
        TimerFilter::Pending | TimerFilter::Overdue => query.filter(sql::<Bool>("timers.state = 'PENDING'")),
        TimerFilter::Failed => query.filter(sql::<Bool>("timers.state = 'FAILED'")),
    };
    if filter == TimerFilter::Overdue {
        // In a subselect it is asked once: compared with a volatile function, no index would help.
        query = query.filter(sql::<Bool>("timers.due_at <= (SELECT lifecycle_now())"));
    }
    if let Some(owner) = owner {
        let theirs = campaigns::tenant.eq(tenant.as_str()).and(campaigns::owner.eq(owner.as_str()));
        query = query.filter(theirs);
    }
    if let Some((due_at, id)) = after {
        let behind = sql::<Bool>("(timers.due_at, timers.id) > (")
            .bind::<Timestamptz, _>(due_at)
            .sql(", ")
            .bind::<SqlUuid, _>(id)
            .sql(")");
        query = query.filter(behind);
    }
    let ordered = query.order((timers::due_at, timers::id)).limit(limit_of(limit, MAX_PAGE + 1));
    Ok(ordered.load(connection).await?)
}

/// The cursor of the last item that fits, when there is one more.
pub(crate) fn next_cursor<T>(rows: &[T], limit: usize, cursor: impl Fn(&T) -> String) -> Option<PageCursor> {
    (rows.len() > limit).then(|| rows.get(limit - 1).map(|last| PageCursor(cursor(last)))).flatten()
}

/// Reads `<letter><number>`.
pub(crate) fn number_of(cursor: &PageCursor, letter: char) -> Result<i64, PortError> {
    let number = cursor.0.strip_prefix(letter).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    number.and_then(|digits| digits.parse().ok()).ok_or_else(|| no_cursor().into_port())
}

fn timer_cursor(core: &TimerCore) -> String {
    format!("t{}.{}", wire::time::micros(core.due_at), core.id.simple())
}

fn timer_place(cursor: &PageCursor) -> Result<(Timestamp, Uuid), PortError> {
    let place = cursor.0.strip_prefix('t').and_then(|rest| rest.split_once('.'));
    let place = place.and_then(|(due_at, id)| {
        // PostgreSQL's calendar begins later than chrono's; no timer is due outside these years.
        let due_at = wire::time::from_micros(due_at.parse().ok()?).filter(|at| (0..=9999).contains(&at.year()))?;
        Some((due_at, Uuid::try_parse(id).ok()?))
    });
    place.ok_or_else(|| no_cursor().into_port())
}

fn no_cursor() -> Failure {
    refused("that is not the cursor of a page of this list")
}
