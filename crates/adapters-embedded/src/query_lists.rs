//! Lists in pages. A page begins right after the last item of the one before (keyset), so inserts neither hide nor repeat.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use domain::{Campaign, OwnerId, TenantId};
use ports::PortError;
use ports::query::{CampaignFilter, MAX_PAGE, Page, PageCursor, PageRequest, TimerFilter, TimerRow};
use uuid::Uuid;

use crate::embedded::Embedded;
use crate::failure::{Failure, refused};
use crate::rows::{self, TimerCore, TimerProgress, limit_of, micros};
use crate::schema::{campaigns, timers};

pub(crate) async fn campaigns(
    store: &Embedded,
    tenant: &TenantId,
    filter: &CampaignFilter,
    page: &PageRequest,
) -> Result<Page<Campaign>, PortError> {
    let after = page.after.as_ref().map(|cursor| number_of(cursor, 'c')).transpose()?;
    let limit = page.limit.clamp(1, MAX_PAGE);
    let (tenant, filter) = (tenant.clone(), filter.clone());
    store
        .on_reader(move |connection| {
            let rows = campaign_rows(connection, &tenant, &filter, after, limit + 1)?;
            let next = next_cursor(&rows, limit, |(number, ..)| format!("c{number}"));
            let items = rows.into_iter().take(limit).filter_map(|(_, id, body)| {
                let campaign = rows::key(tenant.as_str(), &id)
                    .map_err(|Failure(error)| error.to_string())
                    .and_then(|key| rows::campaign(&key, &body));
                // One that cannot be read must not hide the others; it says so where it is asked for by name.
                campaign.inspect_err(|error| tracing::error!(%tenant, id, error, "a campaign cannot be read")).ok()
            });
            Ok(Page { items: items.collect(), next })
        })
        .await
}

fn campaign_rows(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    filter: &CampaignFilter,
    after: Option<i64>,
    limit: usize,
) -> Result<Vec<(i64, String, String)>, Failure> {
    let mut query = campaigns::table
        .select((campaigns::number, campaigns::id, campaigns::body))
        .filter(campaigns::tenant.eq(tenant.as_str()))
        .into_boxed();
    if !filter.statuses.is_empty() {
        let statuses: Vec<&str> = filter.statuses.iter().map(|s| s.as_str()).collect();
        query = query.filter(campaigns::status.eq_any(statuses));
    }
    if let Some(owner) = &filter.owner {
        query = query.filter(campaigns::owner.eq(owner.as_str()));
    }
    if let Some(from) = filter.from {
        query = query.filter(campaigns::end_at.gt(micros(from)));
    }
    if let Some(to) = filter.to {
        query = query.filter(campaigns::start_at.lt(micros(to)));
    }
    if let Some(prefix) = filter.id_prefix.as_deref().filter(|p| !p.is_empty()) {
        // Ids are ASCII, so all that begin with `prefix` sort below `prefix` and the last character there is.
        query = query.filter(campaigns::id.ge(prefix)).filter(campaigns::id.lt(format!("{prefix}{}", char::MAX)));
    }
    if let Some(after) = after {
        query = query.filter(campaigns::number.lt(after));
    }
    Ok(query.order(campaigns::number.desc()).limit(limit_of(limit, MAX_PAGE + 1)).load(connection)?)
}

pub(crate) async fn timers(
    store: &Embedded,
    tenant: &TenantId,
    owner: Option<OwnerId>,
    filter: TimerFilter,
    page: &PageRequest,
) -> Result<Page<TimerRow>, PortError> {
    let after = page.after.as_ref().map(timer_place).transpose()?;
    let limit = page.limit.clamp(1, MAX_PAGE);
    let tenant = tenant.clone();
    let now = micros(store.clock.now());
    store
        .on_reader(move |connection| {
            let rows = timer_rows(connection, &tenant, owner.as_ref(), filter, now, after, limit + 1)?;
            let next = next_cursor(&rows, limit, |(core, ..)| timer_cursor(core));
            let items = rows.into_iter().take(limit).filter_map(|(core, progress, id)| {
                let row = rows::key(tenant.as_str(), &id).and_then(|key| rows::timer_row(key, &core, progress));
                row.inspect_err(|Failure(error)| tracing::error!(%tenant, id, %error, "a timer cannot be read")).ok()
            });
            Ok(Page { items: items.collect(), next })
        })
        .await
}

type TimerTuple = (TimerCore, TimerProgress, String);

fn timer_rows(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    owner: Option<&OwnerId>,
    filter: TimerFilter,
    now: i64,
    after: Option<(i64, Uuid)>,
    limit: usize,
) -> Result<Vec<TimerTuple>, Failure> {
    let mut query = timers::table
        .inner_join(campaigns::table)
        .select((TimerCore::as_select(), TimerProgress::as_select(), campaigns::id))
        .filter(timers::tenant.eq(tenant.as_str()))
        .into_boxed();
    // Literals: a partial index serves only what SQLite can see when it plans.
    query = match filter {
        TimerFilter::Pending | TimerFilter::Overdue => query.filter(sql::<Bool>("timers.state = 'PENDING'")),
        TimerFilter::Failed => query.filter(sql::<Bool>("timers.state = 'FAILED'")),
    };
    if filter == TimerFilter::Overdue {
        query = query.filter(timers::due_at.le(now));
    }
    if let Some(owner) = owner {
        let theirs = campaigns::tenant.eq(tenant.as_str()).and(campaigns::owner.eq(owner.as_str()));
        query = query.filter(theirs);
    }
    if let Some((due_at, id)) = after {
        let id = id.as_bytes().to_vec();
        query = query.filter(timers::due_at.ge(due_at)).filter(timers::due_at.gt(due_at).or(timers::id.gt(id)));
    }
    Ok(query.order((timers::due_at, timers::id)).limit(limit_of(limit, MAX_PAGE + 1)).load(connection)?)
}

/// The cursor of the last item that fits, when there is one more.
pub(crate) fn next_cursor<T>(rows: &[T], limit: usize, cursor: impl Fn(&T) -> String) -> Option<PageCursor> {
    (rows.len() > limit).then(|| rows.get(limit - 1).map(|last| PageCursor(cursor(last)))).flatten()
}

/// Reads `<letter><number>`.
pub(crate) fn number_of(cursor: &PageCursor, letter: char) -> Result<i64, PortError> {
    let number = cursor.0.strip_prefix(letter).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    number.and_then(|digits| digits.parse().ok()).ok_or_else(|| no_cursor().0)
}

fn timer_cursor(core: &TimerCore) -> String {
    let id = Uuid::from_slice(&core.id).unwrap_or_default();
    format!("t{}.{}", core.due_at, id.simple())
}

fn timer_place(cursor: &PageCursor) -> Result<(i64, Uuid), PortError> {
    let place = cursor.0.strip_prefix('t').and_then(|rest| rest.split_once('.'));
    let place = place.and_then(|(due_at, id)| Some((due_at.parse().ok()?, Uuid::try_parse(id).ok()?)));
    place.ok_or_else(|| no_cursor().0)
}

fn no_cursor() -> Failure {
    refused("that is not the cursor of a page of this list")
}
