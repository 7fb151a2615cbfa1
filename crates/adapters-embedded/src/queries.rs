//! The read side: single campaigns and timers, histories, forecasts, counts. Lists in pages live in `query_lists.rs`.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use diesel::dsl::max;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Nullable, Text};
use domain::{Campaign, CampaignKey, OwnerId, Status, TenantId, TimerId, Timestamp};
use ports::PortError;
use ports::feed::MAX_READ;
use ports::journal::{Position, Record};
use ports::query::{
    CampaignFilter, Dossier, ForecastRow, MAX_PAGE, Page, PageRequest, Queries, StatusCounts, StoreStatus, TimerFilter,
    TimerRow, TimerState,
};

use crate::embedded::Embedded;
use crate::failure::{Failure, corrupt, refused};
use crate::query_lists;
use crate::rows::{self, JournalRow, TimerCore, TimerProgress, instant, int, limit_of, micros, parse, uint};
use crate::schema::{campaigns, journal, timers};

/// Overdue timers are counted up to here.
const MOST_OVERDUE: i64 = 10_000;

/// The longest forecast answer.
const MOST_BUCKETS: i64 = 50_000;

#[async_trait]
impl Queries for Embedded {
    async fn campaign(&self, key: &CampaignKey) -> Result<Option<Campaign>, PortError> {
        let key = key.clone();
        self.on_reader(move |connection| Ok(find_campaign(connection, &key)?.map(|(_, campaign)| campaign))).await
    }

    async fn dossier(&self, key: &CampaignKey) -> Result<Option<Dossier>, PortError> {
        let key = key.clone();
        self.on_reader(move |connection| {
            let Some((number, campaign)) = find_campaign(connection, &key)? else { return Ok(None) };
            Ok(Some(Dossier { campaign, timers: timers_of(connection, &key, number)?, head: head(connection)? }))
        })
        .await
    }

    async fn campaigns(
        &self,
        tenant: &TenantId,
        filter: &CampaignFilter,
        page: &PageRequest,
    ) -> Result<Page<Campaign>, PortError> {
        query_lists::campaigns(self, tenant, filter, page).await
    }

    async fn history(&self, key: &CampaignKey, after: Position, limit: usize) -> Result<Vec<Record>, PortError> {
        let key = key.clone();
        self.on_reader(move |connection| {
            let places = journal::table
                .select(journal::position)
                .filter(journal::tenant.eq(key.tenant.as_str()).and(journal::campaign.eq(key.id.as_str())))
                .filter(journal::position.gt(int(after.0)))
                .order(journal::position)
                .limit(limit_of(limit, MAX_READ))
                .load::<i64>(connection)?;
            // Places first, from the index alone: sorting a long history with its data would be slow.
            places.into_iter().map(|place| record_at(connection, place)).collect()
        })
        .await
    }

    async fn timer(&self, tenant: &TenantId, id: TimerId) -> Result<Option<TimerRow>, PortError> {
        let tenant = tenant.clone();
        self.on_reader(move |connection| {
            let row: Option<(TimerCore, TimerProgress, String)> = timers::table
                .inner_join(campaigns::table)
                .select((TimerCore::as_select(), TimerProgress::as_select(), campaigns::id))
                .filter(timers::id.eq(id.0.as_bytes().as_slice()).and(timers::tenant.eq(tenant.as_str())))
                .get_result(connection)
                .optional()?;
            row.map(|(core, progress, campaign)| {
                rows::timer_row(rows::key(tenant.as_str(), &campaign)?, &core, progress)
            })
            .transpose()
        })
        .await
    }

    async fn timers(
        &self,
        tenant: &TenantId,
        owner: Option<OwnerId>,
        filter: TimerFilter,
        page: &PageRequest,
    ) -> Result<Page<TimerRow>, PortError> {
        query_lists::timers(self, tenant, owner, filter, page).await
    }

    async fn forecast(
        &self,
        tenant: &TenantId,
        from: Timestamp,
        to: Timestamp,
        bucket_seconds: u32,
    ) -> Result<Vec<ForecastRow>, PortError> {
        let tenant = tenant.clone();
        self.on_reader(move |connection| forecast(connection, &tenant, micros(from), micros(to), bucket_seconds)).await
    }

    async fn counts(&self, tenant: &TenantId, owner: Option<OwnerId>) -> Result<(StatusCounts, Position), PortError> {
        let tenant = tenant.clone();
        self.on_reader(move |connection| {
            let all = campaigns::table
                .group_by(campaigns::status)
                .select((campaigns::status, diesel::dsl::count_star()))
                .filter(campaigns::tenant.eq(tenant.as_str()));
            let found: Vec<(String, i64)> = match &owner {
                Some(owner) => all.filter(campaigns::owner.eq(owner.as_str())).load(connection)?,
                None => all.load(connection)?,
            };
            let mut counts = found
                .into_iter()
                .map(|(status, count)| Ok((parse::<Status>(&status, "status")?, uint(count))))
                .collect::<Result<StatusCounts, Failure>>()?;
            counts.sort_unstable();
            Ok((counts, head(connection)?))
        })
        .await
    }

    async fn status(&self) -> Result<StoreStatus, PortError> {
        let now = self.clock.now();
        let failing = self.failing.load(Ordering::Relaxed);
        self.on_reader(move |connection| status(connection, now, failing)).await
    }
}

fn find_campaign(connection: &mut SqliteConnection, key: &CampaignKey) -> Result<Option<(i64, Campaign)>, Failure> {
    let row: Option<(i64, String)> = campaigns::table
        .select((campaigns::number, campaigns::body))
        .filter(campaigns::tenant.eq(key.tenant.as_str()).and(campaigns::id.eq(key.id.as_str())))
        .get_result(connection)
        .optional()?;
    row.map(|(number, body)| {
        let campaign = rows::campaign(key, &body).map_err(|why| corrupt(format!("campaign {key}: {why}")))?;
        Ok((number, campaign))
    })
    .transpose()
}

/// All timers of a campaign, but at most a page of finished ones: the latest.
fn timers_of(connection: &mut SqliteConnection, key: &CampaignKey, number: i64) -> Result<Vec<TimerRow>, Failure> {
    let finished = [TimerState::Completed.as_str(), TimerState::Cancelled.as_str()];
    let all = timers::table.select((TimerCore::as_select(), TimerProgress::as_select()));
    let mut found = all
        .filter(timers::campaign.eq(number).and(timers::state.ne(finished[0])).and(timers::state.ne(finished[1])))
        .load::<(TimerCore, TimerProgress)>(connection)?;
    found.extend(
        all.filter(timers::campaign.eq(number))
            .filter(timers::state.eq(finished[0]).or(timers::state.eq(finished[1])))
            .order((timers::due_at.desc(), timers::id.desc()))
            .limit(limit_of(MAX_PAGE, MAX_PAGE))
            .load::<(TimerCore, TimerProgress)>(connection)?,
    );
    let mut rows = found
        .into_iter()
        .map(|(core, progress)| rows::timer_row(key.clone(), &core, progress))
        .collect::<Result<Vec<_>, Failure>>()?;
    rows.sort_by(|a, b| (a.timer.due, &a.timer.kind, a.timer.id).cmp(&(b.timer.due, &b.timer.kind, b.timer.id)));
    Ok(rows)
}

pub(crate) fn head(connection: &mut SqliteConnection) -> Result<Position, Failure> {
    let last: Option<i64> = journal::table.select(max(journal::position)).get_result(connection)?;
    Ok(Position(uint(last.unwrap_or(0))))
}

fn record_at(connection: &mut SqliteConnection, place: i64) -> Result<Record, Failure> {
    let row = journal::table
        .select(JournalRow::as_select())
        .filter(journal::position.eq(place))
        .get_result::<JournalRow>(connection)?;
    row.record()
}

#[derive(QueryableByName)]
struct ForecastCount {
    #[diesel(sql_type = BigInt)]
    bucket: i64,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = BigInt)]
    count: i64,
}

fn forecast(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    from: i64,
    to: i64,
    bucket_seconds: u32,
) -> Result<Vec<ForecastRow>, Failure> {
    let bucket = i64::from(bucket_seconds) * 1_000_000;
    if bucket == 0 {
        return Err(refused("a forecast needs buckets of a second or more"));
    }
    let counts = sql_query(
        "SELECT (due_at - ?) / ? AS bucket, kind, count(*) AS count FROM timers \
         WHERE tenant = ? AND state = 'PENDING' AND due_at >= ? AND due_at < ? AND kind <> 'CUSTOM' \
         GROUP BY 1, 2 ORDER BY 1, 2 LIMIT ?",
    )
    .bind::<BigInt, _>(from)
    .bind::<BigInt, _>(bucket)
    .bind::<Text, _>(tenant.as_str())
    .bind::<BigInt, _>(from)
    .bind::<BigInt, _>(to)
    .bind::<BigInt, _>(MOST_BUCKETS)
    .load::<ForecastCount>(connection)?;
    counts
        .into_iter()
        .map(|row| {
            let bucket = instant(from + row.bucket * bucket)?;
            Ok(ForecastRow { bucket, kind: row.kind, count: uint(row.count) })
        })
        .collect()
}

#[derive(QueryableByName)]
struct Overdue {
    #[diesel(sql_type = Nullable<BigInt>)]
    oldest: Option<i64>,
    #[diesel(sql_type = BigInt)]
    count: i64,
}

fn status(connection: &mut SqliteConnection, now: Timestamp, failing: bool) -> Result<StoreStatus, Failure> {
    // A timer that is tried again fires later than it was due; all others fire when they are due. Two short looks at two
    // indexes are enough.
    let overdue = sql_query(
        "SELECT min(due.at) AS oldest, \
                (SELECT count(*) FROM (SELECT 1 FROM timers WHERE fire_at <= ? LIMIT ?)) AS count \
         FROM (SELECT min(fire_at) AS at FROM timers WHERE fire_at <= ? \
               UNION ALL SELECT min(due_at) FROM timers WHERE retry_at <= ?) AS due",
    )
    .bind::<BigInt, _>(micros(now))
    .bind::<BigInt, _>(MOST_OVERDUE)
    .bind::<BigInt, _>(micros(now))
    .bind::<BigInt, _>(micros(now))
    .get_result::<Overdue>(connection)?;
    Ok(StoreStatus {
        now,
        head: head(connection)?,
        oldest_overdue: overdue.oldest.map(instant).transpose()?,
        overdue: uint(overdue.count),
        failing,
    })
}
