//! What is asked of the database, answered from its tables at one moment.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use domain::{Campaign, CampaignKey, OwnerId, Status, TenantId, Timestamp};
use ports::query::{
    CampaignFilter, Dossier, ForecastRow, MAX_PAGE, Page, PageCursor, PageRequest, StatusCounts, StoreStatus,
    TimerFilter, TimerRow, TimerState,
};
use uuid::Uuid;

use super::store::Database;

/// More overdue timers are not counted.
const MOST_OVERDUE: u64 = 10_000;

pub(crate) fn dossier(db: &Database, key: &CampaignKey) -> Option<Dossier> {
    let campaign = db.campaign(key)?.campaign.clone();
    let mut timers: Vec<TimerRow> = db.timers.of(key).cloned().collect();
    timers.sort_by_key(|row| (row.timer.due, row.timer.id));
    Some(Dossier { campaign, timers, head: db.head() })
}

/// Newest first; none for a cursor that is none.
pub(crate) fn campaigns(
    db: &Database,
    tenant: &TenantId,
    filter: &CampaignFilter,
    page: &PageRequest,
) -> Option<Page<Campaign>> {
    let before: u64 = match &page.after {
        Some(cursor) => cursor.0.strip_prefix('c')?.parse().ok()?,
        None => u64::MAX,
    };
    let mut found: Vec<_> = db
        .campaigns()
        .filter(|(key, stored)| key.tenant == *tenant && stored.number < before && !stored.spoiled)
        .filter(|(_, stored)| is_of(filter, &stored.campaign))
        .map(|(_, stored)| stored)
        .collect();
    found.sort_by_key(|stored| std::cmp::Reverse(stored.number));
    let limit = page.limit.clamp(1, MAX_PAGE);
    let next = (found.len() > limit).then(|| PageCursor(format!("c{}", found[limit - 1].number)));
    Some(Page { items: found.into_iter().take(limit).map(|stored| stored.campaign.clone()).collect(), next })
}

fn is_of(filter: &CampaignFilter, campaign: &Campaign) -> bool {
    let window = &campaign.definition.window;
    (filter.statuses.is_empty() || filter.statuses.contains(&campaign.status()))
        && (filter.owner.is_none() || filter.owner == campaign.definition.owner)
        && filter.from.is_none_or(|from| window.end() > from)
        && filter.to.is_none_or(|to| window.start() < to)
        && filter.id_prefix.as_ref().is_none_or(|prefix| campaign.key.id.as_str().starts_with(prefix))
}

/// Earliest due first; none for a cursor that is none.
pub(crate) fn timers(
    db: &Database,
    now: Timestamp,
    tenant: &TenantId,
    owner: Option<&OwnerId>,
    filter: TimerFilter,
    page: &PageRequest,
) -> Option<Page<TimerRow>> {
    let after = match &page.after {
        Some(cursor) => {
            let (micros, id) = cursor.0.strip_prefix('t')?.split_once('.')?;
            Some((Timestamp::from_timestamp_micros(micros.parse().ok()?)?, id.parse::<Uuid>().ok()?))
        }
        None => None,
    };
    let place = |row: &TimerRow| (row.timer.due, row.timer.id.0);
    let owner_of = |row: &TimerRow| db.campaign(&row.key).and_then(|s| s.campaign.definition.owner.clone());
    let mut found: Vec<&TimerRow> = db
        .timers
        .all()
        .filter(|row| row.key.tenant == *tenant)
        .filter(|row| match filter {
            TimerFilter::Pending => row.state == TimerState::Pending,
            TimerFilter::Overdue => row.state == TimerState::Pending && row.timer.due <= now,
            TimerFilter::Failed => row.state == TimerState::Failed,
        })
        .filter(|row| owner.is_none() || owner_of(row).as_ref() == owner)
        .filter(|row| after.is_none_or(|after| place(row) > after))
        .collect();
    found.sort_by_key(|row| place(row));
    let limit = page.limit.clamp(1, MAX_PAGE);
    let next = (found.len() > limit).then(|| {
        let (due, id) = place(found[limit - 1]);
        PageCursor(format!("t{}.{}", due.timestamp_micros(), id.simple()))
    });
    Some(Page { items: found.into_iter().take(limit).cloned().collect(), next })
}

pub(crate) fn forecast(
    db: &Database,
    tenant: &TenantId,
    from: Timestamp,
    to: Timestamp,
    bucket: u32,
) -> Vec<ForecastRow> {
    let bucket = TimeDelta::seconds(i64::from(bucket.max(1)));
    let mut counts: BTreeMap<(Timestamp, &'static str), u64> = BTreeMap::new();
    for row in db.timers.all() {
        let is_in = row.key.tenant == *tenant && (from..to).contains(&row.timer.due);
        if let Some(kind) = row.timer.kind.lifecycle().filter(|_| is_in && row.state == TimerState::Pending) {
            let stretch =
                (row.timer.due - from).num_microseconds().unwrap_or(0) / bucket.num_microseconds().unwrap_or(1).max(1);
            let start = from + bucket * i32::try_from(stretch).unwrap_or(i32::MAX);
            *counts.entry((start, kind.as_str())).or_default() += 1;
        }
    }
    let row = |((bucket, kind), count): ((Timestamp, &str), u64)| ForecastRow { bucket, kind: kind.to_owned(), count };
    counts.into_iter().map(row).collect()
}

pub(crate) fn counts(db: &Database, tenant: &TenantId, owner: Option<&OwnerId>) -> StatusCounts {
    let mut counts: BTreeMap<Status, u64> = BTreeMap::new();
    for (key, stored) in db.campaigns() {
        let is_theirs = owner.is_none() || stored.campaign.definition.owner.as_ref() == owner;
        if key.tenant == *tenant && is_theirs {
            *counts.entry(stored.campaign.status()).or_default() += 1;
        }
    }
    counts.into_iter().collect()
}

pub(crate) fn status(db: &Database, now: Timestamp) -> StoreStatus {
    let overdue = db.timers.due(now).filter(|(at, _)| *at < now);
    let (mut count, mut oldest) = (0, None);
    for (_, row) in overdue {
        count += 1;
        oldest = Some(oldest.map_or(row.timer.due, |oldest| row.timer.due.min(oldest)));
    }
    StoreStatus { now, head: db.head(), oldest_overdue: oldest, overdue: u64::min(count, MOST_OVERDUE), failing: false }
}
