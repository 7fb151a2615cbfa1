//! The read side: single campaigns and timers, histories, forecasts, counts. Lists in pages live in `query_lists.rs`.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Bool, Double, Nullable, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::{Campaign, CampaignKey, OwnerId, Status, TenantId, TimerId, Timestamp};
use ports::PortError;
use ports::feed::MAX_READ;
use ports::journal::{Position, Record};
use ports::query::{
    CampaignFilter, Dossier, ForecastRow, MAX_PAGE, Page, PageRequest, Queries, StatusCounts, StoreStatus, TimerFilter,
    TimerRow, TimerState,
};

use crate::failure::{Failure, corrupt, refused};
use crate::postgres::{Freshness, Postgres};
use crate::query_lists;
use crate::rows::{self, JournalRow, TimerCore, TimerProgress, int, limit_of, parse, uint};
use crate::schema::{campaigns, journal, journal_head, of_campaign, timers};

/// Overdue timers are counted up to here.
const MOST_OVERDUE: i64 = 10_000;

/// The longest forecast answer.
const MOST_BUCKETS: i64 = 50_000;

#[async_trait]
impl Queries for Postgres {
    async fn campaign(&self, key: &CampaignKey) -> Result<Option<Campaign>, PortError> {
        let key = key.clone();
        self.ask(Freshness::Now, async move |connection| {
            Ok(find_campaign(connection, &key).await?.map(|(_, campaign)| campaign))
        })
        .await
    }

    async fn dossier(&self, key: &CampaignKey) -> Result<Option<Dossier>, PortError> {
        let key = key.clone();
        self.read(Freshness::Now, async move |connection| {
            let Some((number, campaign)) = find_campaign(connection, &key).await? else { return Ok(None) };
            let timers = timers_of(connection, &key, number).await?;
            Ok(Some(Dossier { campaign, timers, head: head(connection).await? }))
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
        self.ask(Freshness::Seen, async move |connection| {
            let rows = journal::table
                .select(JournalRow::as_select())
                .filter(journal::tenant.eq(key.tenant.as_str()).and(journal::campaign.eq(key.id.as_str())))
                .filter(journal::position.gt(int(after.0)))
                .order(journal::position)
                .limit(limit_of(limit, MAX_READ))
                .load::<JournalRow>(connection)
                .await?;
            rows.iter().map(JournalRow::record).collect()
        })
        .await
    }

    async fn timer(&self, tenant: &TenantId, id: TimerId) -> Result<Option<TimerRow>, PortError> {
        let tenant = tenant.clone();
        self.ask(Freshness::Now, async move |connection| {
            let row: Option<(TimerCore, TimerProgress, String)> = timers::table
                .inner_join(campaigns::table.on(of_campaign()))
                .select((TimerCore::as_select(), TimerProgress::as_select(), campaigns::id))
                .filter(timers::id.eq(id.0).and(timers::tenant.eq(tenant.as_str())))
                .get_result(connection)
                .await
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
        if bucket_seconds == 0 {
            return Err(refused("a forecast needs buckets of a second or more").into_port());
        }
        let tenant = tenant.clone();
        self.ask(Freshness::Seen, async move |connection| {
            let counts = sql_query(FORECAST)
                .bind::<Text, _>(tenant.as_str())
                .bind::<Timestamptz, _>(from)
                .bind::<Timestamptz, _>(to)
                .bind::<Double, _>(f64::from(bucket_seconds))
                .bind::<BigInt, _>(MOST_BUCKETS)
                .load::<ForecastCount>(connection)
                .await?;
            let row = |row: ForecastCount| ForecastRow { bucket: row.bucket, kind: row.kind, count: uint(row.count) };
            Ok(counts.into_iter().map(row).collect())
        })
        .await
    }

    async fn counts(&self, tenant: &TenantId, owner: Option<OwnerId>) -> Result<(StatusCounts, Position), PortError> {
        let tenant = tenant.clone();
        self.read(Freshness::Seen, async move |connection| {
            let all = campaigns::table
                .group_by(campaigns::status)
                .select((campaigns::status, diesel::dsl::count_star()))
                .filter(campaigns::tenant.eq(tenant.as_str()));
            let found: Vec<(String, i64)> = match &owner {
                Some(owner) => all.filter(campaigns::owner.eq(owner.as_str())).load(connection).await?,
                None => all.load(connection).await?,
            };
            let mut counts = found
                .into_iter()
                .map(|(status, count)| Ok((parse::<Status>(&status, "status")?, uint(count))))
                .collect::<Result<StatusCounts, Failure>>()?;
            counts.sort_unstable();
            Ok((counts, head(connection).await?))
        })
        .await
    }

    async fn status(&self) -> Result<StoreStatus, PortError> {
        let failing = AtomicBool::load(&self.writer.failing, Ordering::Relaxed);
        self.read(Freshness::Now, async move |connection| status(connection, failing).await).await
    }
}

async fn find_campaign(
    connection: &mut AsyncPgConnection,
    key: &CampaignKey,
) -> Result<Option<(i64, Campaign)>, Failure> {
    let row: Option<(i64, String)> = campaigns::table
        .select((campaigns::number, campaigns::body))
        .filter(campaigns::tenant.eq(key.tenant.as_str()).and(campaigns::id.eq(key.id.as_str())))
        .get_result(connection)
        .await
        .optional()?;
    row.map(|(number, body)| {
        let campaign = rows::campaign(key, &body).map_err(|why| corrupt(format!("campaign {key}: {why}")))?;
        Ok((number, campaign))
    })
    .transpose()
}

/// All timers of a campaign, but at most a page of finished ones: the latest.
async fn timers_of(
    connection: &mut AsyncPgConnection,
    key: &CampaignKey,
    number: i64,
) -> Result<Vec<TimerRow>, Failure> {
    let finished = [TimerState::Completed.as_str(), TimerState::Cancelled.as_str()];
    let all = timers::table.select((TimerCore::as_select(), TimerProgress::as_select()));
    let mut found = all
        .filter(timers::campaign.eq(number).and(timers::state.ne_all(finished)))
        .load::<(TimerCore, TimerProgress)>(connection)
        .await?;
    found.extend(
        all.filter(timers::campaign.eq(number).and(timers::state.eq_any(finished)))
            .order((timers::due_at.desc(), timers::id.desc()))
            .limit(limit_of(MAX_PAGE, MAX_PAGE))
            .load::<(TimerCore, TimerProgress)>(connection)
            .await?,
    );
    let mut rows = found
        .into_iter()
        .map(|(core, progress)| rows::timer_row(key.clone(), &core, progress))
        .collect::<Result<Vec<_>, Failure>>()?;
    rows.sort_by(|a, b| (a.timer.due, &a.timer.kind, a.timer.id).cmp(&(b.timer.due, &b.timer.kind, b.timer.id)));
    Ok(rows)
}

/// Where the journal ends, at this connection's moment.
pub(crate) async fn head(connection: &mut AsyncPgConnection) -> Result<Position, Failure> {
    let last: i64 = journal_head::table.select(journal_head::position).get_result(connection).await?;
    Ok(Position(uint(last)))
}

const FORECAST: &str = "\
SELECT date_bin(make_interval(secs => $4), due_at, $2) AS bucket, kind, count(*) AS count FROM timers
WHERE tenant = $1 AND state = 'PENDING' AND due_at >= $2 AND due_at < $3 AND kind <> 'CUSTOM'
GROUP BY 1, 2 ORDER BY 1, 2 LIMIT $5";

#[derive(QueryableByName)]
struct ForecastCount {
    #[diesel(sql_type = Timestamptz)]
    bucket: Timestamp,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = BigInt)]
    count: i64,
}

#[derive(QueryableByName)]
struct Clock {
    #[diesel(sql_type = Timestamptz)]
    now: Timestamp,
    #[diesel(sql_type = BigInt)]
    position: i64,
    #[diesel(sql_type = Bool)]
    standby: bool,
}

#[derive(QueryableByName)]
struct Overdue {
    #[diesel(sql_type = Nullable<Timestamptz>)]
    oldest: Option<Timestamp>,
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// A timer that is tried again fires later than it was due; all others fire when they are due. Two short looks at two
/// indexes are enough.
const OVERDUE: &str = "\
SELECT least((SELECT min(fire_at) FROM timers WHERE fire_at <= $1),
             (SELECT min(due_at) FROM timers WHERE retry_at <= $1)) AS oldest,
       (SELECT count(*) FROM (SELECT 1 FROM timers WHERE fire_at <= $1 LIMIT $2) AS due) AS count";

async fn status(connection: &mut AsyncPgConnection, failing: bool) -> Result<StoreStatus, Failure> {
    const CLOCK: &str =
        "SELECT greatest(lifecycle_now(), at) AS now, position, pg_is_in_recovery() AS standby FROM journal_head";
    // The clock as a value: compared with a volatile function, no index would help.
    let clock: Clock = sql_query(CLOCK).get_result(connection).await?;
    let overdue: Overdue = sql_query(OVERDUE)
        .bind::<Timestamptz, _>(clock.now)
        .bind::<BigInt, _>(MOST_OVERDUE)
        .get_result(connection)
        .await?;
    Ok(StoreStatus {
        now: clock.now,
        head: Position(uint(clock.position)),
        oldest_overdue: overdue.oldest,
        overdue: uint(overdue.count),
        // One that was demoted still answers reads, also where nobody has tried to write.
        failing: failing || clock.standby,
    })
}
