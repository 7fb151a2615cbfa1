//! State and timer table written anew from the journal, in portions of one commit each, and told in the journal. How a repair
//! is told lives in `wire::rebuild`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use domain::{Campaign, CampaignKey, JsonText, OwnerId, Timer, TimerId, TimerName, Timestamp};
use ports::PortError;
use ports::journal::{Entry, Fact, Record};
use ports::query::TimerState;
use ports::verification::{RebuildOrder, RebuildReport};
use uuid::Uuid;
use wire::rebuild::{self, Difference, Wanted};

use crate::case_rows::{self, ArmedRow, LogRow};
use crate::failure::Failure;
use crate::findings::CampaignRow;
use crate::pipeline::Pipeline;
use crate::postgres::Postgres;
use crate::rows::{self, TimerProgress, attempts_column, int, rank};
use crate::schema::{statement, timers};
use crate::unit::{Unit, Writer};
use crate::{journal_writes, loading, store};

/// How many campaigns one commit rebuilds: as many as can be held for a moment without anybody noticing.
const PORTION: usize = 100;

/// How long one of its statements may take.
const LIMIT: Duration = Duration::from_secs(5);

/// How often one portion is tried.
const ATTEMPTS: u32 = 5;

/// How long it waits before it tries again, the first time.
const PAUSE: Duration = Duration::from_millis(200);

statement! {
    RewriteCampaigns<'a> {
        tenant: Vec<&'a str> as Texts,
        number: Vec<i64> as BigInts,
        version: Vec<i64> as BigInts,
        status: Vec<&'a str> as Texts,
        owner: Vec<Option<&'a str>> as MaybeTexts,
        start_at: Vec<Timestamp> as Timestamptzs,
        end_at: Vec<Timestamp> as Timestamptzs,
        body: &'a [String] as Texts,
    }
    "UPDATE campaigns SET version = new.version, status = new.status, owner = new.owner, start_at = new.start_at, \
       end_at = new.end_at, body = new.body \
     FROM unnest(?, ?, ?, ?, ?, ?, ?, ?) AS new (tenant, number, version, status, owner, start_at, end_at, body) \
     WHERE campaigns.tenant = new.tenant AND campaigns.number = new.number"
}

statement! {
    RestoreCampaigns<'a> {
        tenant: Vec<&'a str> as Texts,
        id: Vec<&'a str> as Texts,
        version: Vec<i64> as BigInts,
        status: Vec<&'a str> as Texts,
        owner: Vec<Option<&'a str>> as MaybeTexts,
        start_at: Vec<Timestamp> as Timestamptzs,
        end_at: Vec<Timestamp> as Timestamptzs,
        body: &'a [String] as Texts,
    } -> (BigInt, Text, Text),
    "INSERT INTO campaigns (tenant, id, version, status, owner, start_at, end_at, body) \
     SELECT * FROM unnest(?, ?, ?, ?, ?, ?, ?, ?) RETURNING number, tenant, id"
}

statement! {
    // Held is what is pending and out of the clock's reach.
    RewriteTimers<'a> {
        id: Vec<Uuid> as Uuids,
        campaign: Vec<i64> as BigInts,
        tenant: Vec<&'a str> as Texts,
        kind: Vec<&'a str> as Texts,
        name: Vec<&'a str> as Texts,
        due_at: Vec<Timestamp> as Timestamptzs,
        rank: Vec<i16> as SmallInts,
        generation: Vec<i64> as BigInts,
        payload: Vec<Option<&'a str>> as MaybeTexts,
        state: Vec<&'a str> as Texts,
        attempts: Vec<i32> as Integers,
        retry_at: Vec<Option<Timestamp>> as MaybeTimestamptzs,
        error: Vec<Option<&'a str>> as MaybeTexts,
        completed_at: Vec<Option<Timestamp>> as MaybeTimestamptzs,
        fire_at: Vec<Option<Timestamp>> as MaybeTimestamptzs,
    }
    "INSERT INTO timers (id, campaign, tenant, kind, name, due_at, rank, generation, payload, state, attempts, \
       retry_at, error, completed_at, fire_at, held) \
     SELECT *, state = 'PENDING' AND fire_at IS NULL \
     FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) AS new (id, campaign, tenant, kind, name, due_at, rank, \
       generation, payload, state, attempts, retry_at, error, completed_at, fire_at)"
}

/// Rebuilds every campaign.
pub(crate) async fn run(store: &Postgres, order: &RebuildOrder) -> Result<RebuildReport, PortError> {
    let mut report = RebuildReport::default();
    let mut after = None;
    loop {
        let (part, last) = patiently(store, order, after.take()).await?;
        report.campaigns += part.campaigns;
        report.repaired.extend(part.repaired);
        report.unreadable.extend(part.unreadable);
        match last {
            Some(key) => after = Some(key),
            None => return Ok(report),
        }
    }
}

/// One portion. Somebody may hold a campaign of it for a moment; done twice, it is as if done once.
async fn patiently(
    store: &Postgres,
    order: &RebuildOrder,
    after: Option<CampaignKey>,
) -> Result<(RebuildReport, Option<CampaignKey>), PortError> {
    let mut attempts = 1;
    loop {
        let (start, order, writer) = (after.clone(), order.clone(), Arc::clone(&store.writer));
        match store.write(async move |unit| portion(unit, &writer, &order, start.as_ref()).await).await {
            Err(error) if error.may_retry() && attempts < ATTEMPTS => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a portion is tried again");
                tokio::time::sleep(PAUSE * attempts).await;
                attempts += 1;
            }
            outcome => return outcome,
        }
    }
}

/// A campaign as its log gives it.
struct Folded {
    campaign: Campaign,
    entries: Vec<Entry>,
}

/// In what campaigns differed from their logs.
type Differences<'a> = BTreeMap<&'a CampaignKey, Vec<Difference>>;

async fn portion(
    unit: &mut Unit,
    writer: &Writer,
    order: &RebuildOrder,
    after: Option<&CampaignKey>,
) -> Result<(RebuildReport, Option<CampaignKey>), Failure> {
    let mut report = RebuildReport::default();
    case_rows::allow(&mut unit.connection, LIMIT).await?;
    // Long logs are folded between two statements, and the journal's head is not held.
    let idle = format!("SET LOCAL idle_in_transaction_session_timeout = {}", LIMIT.as_millis());
    unit.connection.batch_execute(&idle).await?;
    let keys = case_rows::keys_after(&mut unit.connection, after, PORTION).await?;
    // What is read from here on is younger than the locks.
    case_rows::lock(&mut unit.connection, &keys).await?;
    let floor = case_rows::floor(&mut unit.connection).await?;
    let stored = case_rows::campaigns(&mut unit.connection, &keys).await?;
    let mut logs = case_rows::logs(&mut unit.connection, &keys).await?;
    let mut folded = Vec::new();
    for key in &keys {
        let log = logs.remove(key).unwrap_or_default();
        if case_rows::is_archived(floor, stored.get(key), &log) {
            continue;
        }
        match fold(key, &log) {
            Some(campaign) => folded.push(campaign),
            None => report.unreadable.push(key.clone()),
        }
    }
    report.campaigns = folded.len() as u64;
    let mut found = Differences::new();
    rewrite_campaigns(unit, &stored, &folded, &mut found).await?;
    let mut numbers: HashMap<&CampaignKey, i64> = stored.iter().map(|(key, row)| (key, row.number)).collect();
    let restored = restore_campaigns(unit, &stored, &folded, &mut found).await?;
    numbers.extend(restored.iter().map(|(key, number)| (key, *number)));
    rewrite_timers(unit, &numbers, &folded, &mut found).await?;
    report.repaired = tell(unit, writer, order, &folded, &found).await?;
    Ok((report, keys.last().cloned()))
}

/// Writes down what was different; answers whose it was.
async fn tell(
    unit: &mut Unit,
    writer: &Writer,
    order: &RebuildOrder,
    folded: &[Folded],
    found: &Differences<'_>,
) -> Result<Vec<(CampaignKey, u64)>, Failure> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let at = store::now(loading::clock(&unit.connection).await?, writer);
    let repaired = || folded.iter().filter_map(|one| Some((&one.campaign, found.get(&one.campaign.key)?)));
    let facts: Vec<Fact> = repaired().map(|(campaign, found)| rebuild::repaired(order, at, campaign, found)).collect();
    let Unit { connection, ending, news, .. } = unit;
    journal_writes::append(Pipeline::new(connection), ending, news, &facts, None).await?;
    Ok(repaired().map(|(campaign, _)| (campaign.key.clone(), campaign.version)).collect())
}

/// The campaign that its log gives; none when that cannot be read or folded.
fn fold(key: &CampaignKey, log: &[LogRow]) -> Option<Folded> {
    let records = log.iter().map(|(row, _)| row.record()).collect::<Result<Vec<Record>, Failure>>().ok()?;
    let entries: Vec<Entry> = records.into_iter().map(|record| record.fact.entry).collect();
    let campaign = domain::fold(key, entries.iter().filter_map(rebuild::step_of)).ok()?;
    Some(Folded { campaign, entries })
}

/// Writes the rows that are different.
async fn rewrite_campaigns<'a>(
    unit: &mut Unit,
    stored: &HashMap<CampaignKey, CampaignRow>,
    folded: &'a [Folded],
    found: &mut Differences<'a>,
) -> Result<(), Failure> {
    let mut wrong: Vec<(&CampaignRow, &Campaign)> = Vec::new();
    for Folded { campaign, .. } in folded {
        let Some(row) = stored.get(&campaign.key) else { continue };
        let mut differences: Vec<Difference> =
            row.wrong_columns(campaign).map(|(name, is, must)| Difference::column(name, is, must)).collect();
        let readable = rows::campaign(&campaign.key, &row.body);
        if readable.as_ref() != Ok(campaign) {
            let before = (row.body.as_str(), readable.as_ref().map_err(String::as_str));
            differences.push(Difference::state(Some(before), campaign));
        }
        if !differences.is_empty() {
            found.entry(&campaign.key).or_default().extend(differences);
            wrong.push((row, campaign));
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let bodies: Vec<String> = wrong.iter().map(|(_, c)| wire::stored::encode_campaign(c)).collect();
    let rewrite = RewriteCampaigns {
        tenant: wrong.iter().map(|(_, c)| c.key.tenant.as_str()).collect(),
        number: wrong.iter().map(|(row, _)| row.number).collect(),
        version: wrong.iter().map(|(_, c)| int(c.version)).collect(),
        status: wrong.iter().map(|(_, c)| c.status().as_str()).collect(),
        owner: wrong.iter().map(|(_, c)| c.definition.owner.as_ref().map(OwnerId::as_str)).collect(),
        start_at: wrong.iter().map(|(_, c)| c.definition.window.start()).collect(),
        end_at: wrong.iter().map(|(_, c)| c.definition.window.end()).collect(),
        body: &bodies,
    };
    rewrite.execute(&mut *unit.connection).await?;
    Ok(())
}

/// Writes the rows that are missing; answers their numbers.
async fn restore_campaigns<'a>(
    unit: &mut Unit,
    stored: &HashMap<CampaignKey, CampaignRow>,
    folded: &'a [Folded],
    found: &mut Differences<'a>,
) -> Result<HashMap<CampaignKey, i64>, Failure> {
    let missing: Vec<&'a Campaign> =
        folded.iter().map(|f| &f.campaign).filter(|campaign| !stored.contains_key(&campaign.key)).collect();
    if missing.is_empty() {
        return Ok(HashMap::new());
    }
    for campaign in &missing {
        found.entry(&campaign.key).or_default().push(Difference::state(None, campaign));
    }
    let bodies: Vec<String> = missing.iter().map(|c| wire::stored::encode_campaign(c)).collect();
    let restore = RestoreCampaigns {
        tenant: missing.iter().map(|c| c.key.tenant.as_str()).collect(),
        id: missing.iter().map(|c| c.key.id.as_str()).collect(),
        version: missing.iter().map(|c| int(c.version)).collect(),
        status: missing.iter().map(|c| c.status().as_str()).collect(),
        owner: missing.iter().map(|c| c.definition.owner.as_ref().map(OwnerId::as_str)).collect(),
        start_at: missing.iter().map(|c| c.definition.window.start()).collect(),
        end_at: missing.iter().map(|c| c.definition.window.end()).collect(),
        body: &bodies,
    };
    let numbers: Vec<(i64, String, String)> = restore.load(&mut *unit.connection).await?;
    numbers.into_iter().map(|(number, tenant, id)| Ok((rows::key(&tenant, &id)?, number))).collect()
}

/// Writes all timers of campaigns whose rows are different.
async fn rewrite_timers<'a>(
    unit: &mut Unit,
    numbers: &HashMap<&CampaignKey, i64>,
    folded: &'a [Folded],
    found: &mut Differences<'a>,
) -> Result<(), Failure> {
    let all: Vec<i64> = numbers.values().copied().collect();
    let mut stored = case_rows::timers(&mut unit.connection, &all).await?;
    let mut wrong: Vec<(i64, &Campaign, BTreeMap<TimerId, Wanted<'_>>, Known)> = Vec::new();
    for Folded { campaign, entries } in folded {
        let Some(number) = numbers.get(&campaign.key) else { continue };
        let rows = stored.remove(number).unwrap_or_default();
        let wanted = rebuild::timers_of(campaign, entries);
        let known = Known::of(&campaign.key, rows);
        let differences = known.differences(&wanted);
        if !differences.is_empty() {
            found.entry(&campaign.key).or_default().extend(differences);
            wrong.push((*number, campaign, wanted, known));
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let gone: Vec<i64> = wrong.iter().map(|(number, ..)| *number).collect();
    // A timer may have been put under another campaign.
    let back: Vec<Uuid> = wrong.iter().flat_map(|(.., wanted, _)| wanted.keys().map(|id| id.0)).collect();
    let misplaced = timers::campaign.eq_any(&gone).or(timers::id.eq_any(&back));
    diesel::delete(timers::table.filter(misplaced)).execute(&mut *unit.connection).await?;
    let rows: Vec<NewRow<'_>> = wrong
        .iter()
        .flat_map(|(number, campaign, wanted, known)| {
            wanted.iter().map(|(id, want)| NewRow::of(*number, campaign, want, known.rows.get(id)))
        })
        .collect();
    insert_timers(unit, &rows).await
}

/// What the timer table says of one campaign's timers.
struct Known {
    rows: HashMap<TimerId, (Timer, TimerProgress)>,
    /// Rows that cannot be read, or are of another tenant.
    odd: Vec<Difference>,
}

impl Known {
    fn of(key: &CampaignKey, rows: Vec<ArmedRow>) -> Self {
        let mut known = Self { rows: HashMap::new(), odd: Vec::new() };
        for (core, progress, tenant) in rows {
            let id = TimerId(core.id);
            if tenant != key.tenant.as_str() {
                let after = Some("this tenant's".to_owned());
                known.odd.push(Difference::timer(id, Some("another tenant's".to_owned()), after));
            }
            match core.timer() {
                Ok(timer) => drop(known.rows.insert(id, (timer, progress))),
                Err(_) => known.odd.push(Difference::timer(id, Some("unreadable".to_owned()), None)),
            }
        }
        known
    }

    /// In what it differs from what it must say.
    fn differences(&self, wanted: &BTreeMap<TimerId, Wanted<'_>>) -> Vec<Difference> {
        let row = |timer: &Timer, p: &TimerProgress| {
            rebuild::timer_row(timer, &p.state, p.held, p.fire_at, i64::from(p.rank))
        };
        let mut found = self.odd.clone();
        for (id, want) in wanted {
            let known = self.rows.get(id);
            let same = known.is_some_and(|(timer, progress)| {
                timer == want.timer
                    && progress.state == want.state.as_str()
                    && progress.held == want.held
                    && progress.completed_at == want.completed_at
                    && progress.fire_at == progress.must_fire_at(timer.due)
                    && progress.rank == rank(&timer.kind)
            });
            if !same {
                let waits = want.state == TimerState::Pending && !want.held;
                let fire_at = waits.then_some(want.timer.due);
                let rank = i64::from(rank(&want.timer.kind));
                let after = rebuild::timer_row(want.timer, want.state.as_str(), want.held, fire_at, rank);
                found.push(Difference::timer(*id, known.map(|(timer, p)| row(timer, p)), Some(after)));
            }
        }
        let unknown = self.rows.iter().filter(|(id, _)| !wanted.contains_key(id));
        found.extend(unknown.map(|(id, (timer, p))| Difference::timer(*id, Some(row(timer, p)), None)));
        found
    }
}

/// A row of the timer table, to be written.
struct NewRow<'a> {
    campaign: i64,
    tenant: &'a str,
    timer: &'a Timer,
    state: TimerState,
    attempts: i32,
    retry_at: Option<Timestamp>,
    error: Option<&'a str>,
    completed_at: Option<Timestamp>,
    fire_at: Option<Timestamp>,
}

impl<'a> NewRow<'a> {
    /// How often a timer was tried stands in no journal and is kept.
    fn of(number: i64, campaign: &'a Campaign, want: &Wanted<'a>, known: Option<&'a (Timer, TimerProgress)>) -> Self {
        let kept = known.map(|(_, progress)| progress).filter(|p| p.state == want.state.as_str());
        let waits = want.state == TimerState::Pending && !want.held;
        let retry_at = kept.and_then(|p| p.retry_at).filter(|_| waits);
        Self {
            campaign: number,
            tenant: campaign.key.tenant.as_str(),
            timer: want.timer,
            state: want.state,
            attempts: kept.map_or_else(|| attempts_column(want.attempts), |p| p.attempts),
            retry_at,
            error: kept.and_then(|p| p.error.as_deref()).or(want.error),
            completed_at: want.completed_at,
            fire_at: waits.then(|| retry_at.unwrap_or(want.timer.due)),
        }
    }
}

async fn insert_timers(unit: &mut Unit, rows: &[NewRow<'_>]) -> Result<(), Failure> {
    let insert = RewriteTimers {
        id: rows.iter().map(|row| row.timer.id.0).collect(),
        campaign: rows.iter().map(|row| row.campaign).collect(),
        tenant: rows.iter().map(|row| row.tenant).collect(),
        kind: rows.iter().map(|row| row.timer.kind.as_str()).collect(),
        name: rows.iter().map(|row| row.timer.kind.name().map_or("", TimerName::as_str)).collect(),
        due_at: rows.iter().map(|row| row.timer.due).collect(),
        rank: rows.iter().map(|row| rank(&row.timer.kind)).collect(),
        generation: rows.iter().map(|row| int(row.timer.generation)).collect(),
        payload: rows.iter().map(|row| row.timer.payload.as_ref().map(JsonText::as_str)).collect(),
        state: rows.iter().map(|row| row.state.as_str()).collect(),
        attempts: rows.iter().map(|row| row.attempts).collect(),
        retry_at: rows.iter().map(|row| row.retry_at).collect(),
        error: rows.iter().map(|row| row.error).collect(),
        completed_at: rows.iter().map(|row| row.completed_at).collect(),
        fire_at: rows.iter().map(|row| row.fire_at).collect(),
    };
    insert.execute(&mut *unit.connection).await?;
    rows.iter().filter_map(|row| row.fire_at).for_each(|at| unit.news.arm(at));
    Ok(())
}
