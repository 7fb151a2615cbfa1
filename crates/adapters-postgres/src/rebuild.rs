//! State and timer table written anew from the journal, in portions of one commit each.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use domain::{Campaign, CampaignKey, JsonText, OwnerId, Step, Timer, TimerId, TimerName, Timestamp};
use ports::PortError;
use ports::journal::{Entry, Record};
use ports::query::TimerState;
use ports::verification::RebuildReport;
use uuid::Uuid;

use crate::case_rows::{self, ArmedRow, LogRow};
use crate::failure::Failure;
use crate::findings::CampaignRow;
use crate::postgres::Postgres;
use crate::rows::{self, TimerProgress, attempts_column, int, rank};
use crate::schema::{statement, timers};
use crate::unit::Unit;

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
pub(crate) async fn run(store: &Postgres) -> Result<RebuildReport, PortError> {
    let mut report = RebuildReport::default();
    let mut after = None;
    loop {
        let (part, last) = patiently(store, after.take()).await?;
        report.campaigns += part.campaigns;
        report.repaired += part.repaired;
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
    after: Option<CampaignKey>,
) -> Result<(RebuildReport, Option<CampaignKey>), PortError> {
    let mut attempts = 1;
    loop {
        let start = after.clone();
        match store.write(async move |unit| portion(unit, start.as_ref()).await).await {
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

async fn portion(
    unit: &mut Unit,
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
    let mut repaired = rewrite_campaigns(unit, &stored, &folded).await?;
    let mut numbers: HashMap<&CampaignKey, i64> = stored.iter().map(|(key, row)| (key, row.number)).collect();
    let restored = restore_campaigns(unit, &stored, &folded).await?;
    numbers.extend(restored.iter().map(|(key, number)| (key, *number)));
    repaired.extend(restored.keys());
    repaired.extend(rewrite_timers(unit, &numbers, &folded).await?);
    report.repaired = repaired.len() as u64;
    Ok((report, keys.last().cloned()))
}

/// The campaign that its log gives; none when that cannot be read or folded.
fn fold(key: &CampaignKey, log: &[LogRow]) -> Option<Folded> {
    let records = log.iter().map(|(row, _)| row.record()).collect::<Result<Vec<Record>, Failure>>().ok()?;
    let entries: Vec<Entry> = records.into_iter().map(|record| record.fact.entry).collect();
    let campaign = domain::fold(key, entries.iter().filter_map(step_of)).ok()?;
    Some(Folded { campaign, entries })
}

fn step_of(entry: &Entry) -> Option<&Step> {
    match entry {
        Entry::Step(step) => Some(&step.step),
        Entry::Rejected { .. } | Entry::TimerFailed { .. } | Entry::Notice { .. } => None,
    }
}

/// Writes the rows that are different; answers whose they were.
async fn rewrite_campaigns<'a>(
    unit: &mut Unit,
    stored: &HashMap<CampaignKey, CampaignRow>,
    folded: &'a [Folded],
) -> Result<HashSet<&'a CampaignKey>, Failure> {
    let wrong = |(row, campaign): &(&CampaignRow, &Campaign)| {
        let readable = rows::campaign(&campaign.key, &row.body);
        row.wrong_columns(campaign).next().is_some() || readable.as_ref() != Ok(*campaign)
    };
    let known = folded.iter().filter_map(|f| Some((stored.get(&f.campaign.key)?, &f.campaign)));
    let wrong: Vec<(&CampaignRow, &Campaign)> = known.filter(wrong).collect();
    if !wrong.is_empty() {
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
    }
    Ok(wrong.into_iter().map(|(_, campaign)| &campaign.key).collect())
}

/// Writes the rows that are missing; answers their numbers.
async fn restore_campaigns(
    unit: &mut Unit,
    stored: &HashMap<CampaignKey, CampaignRow>,
    folded: &[Folded],
) -> Result<HashMap<CampaignKey, i64>, Failure> {
    let missing: Vec<&Campaign> =
        folded.iter().map(|f| &f.campaign).filter(|campaign| !stored.contains_key(&campaign.key)).collect();
    if missing.is_empty() {
        return Ok(HashMap::new());
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

/// What the timer table must say of one timer.
struct Desired<'a> {
    timer: &'a Timer,
    state: TimerState,
    held: bool,
    completed_at: Option<Timestamp>,
    attempts: u32,
    error: Option<&'a str>,
}

/// Every timer that was ever armed for the campaign, as its journal leaves it.
fn timers_of(Folded { campaign, entries }: &Folded) -> BTreeMap<TimerId, Desired<'_>> {
    let mut found = BTreeMap::new();
    for step in entries.iter().filter_map(step_of) {
        for timer in &step.armed {
            let (state, held) = match campaign.timer(timer.id) {
                Some(_) => (TimerState::Pending, campaign.held.contains(&timer.id)),
                None => (TimerState::Cancelled, false),
            };
            let desired = Desired { timer, state, held, completed_at: None, attempts: 0, error: None };
            found.insert(timer.id, desired);
        }
        if let Some(done) = step.event.settled_timer().and_then(|timer| found.get_mut(&timer.id)) {
            done.state = TimerState::Completed;
            done.completed_at = Some(step.at);
        }
    }
    for entry in entries {
        if let Entry::TimerFailed { timer, attempts, error, .. } = entry
            && let Some(failed) = found.get_mut(&timer.id).filter(|t| t.state == TimerState::Pending)
        {
            failed.state = TimerState::Failed;
            failed.held = false;
            failed.attempts = *attempts;
            failed.error = Some(error);
        }
    }
    found
}

/// Writes all timers of campaigns whose rows are different; answers whose they were.
async fn rewrite_timers<'a>(
    unit: &mut Unit,
    numbers: &HashMap<&CampaignKey, i64>,
    folded: &'a [Folded],
) -> Result<HashSet<&'a CampaignKey>, Failure> {
    let all: Vec<i64> = numbers.values().copied().collect();
    let mut stored = case_rows::timers(&mut unit.connection, &all).await?;
    let mut wrong: Vec<(i64, &Campaign, BTreeMap<TimerId, Desired<'_>>, Known)> = Vec::new();
    for one in folded {
        let Some(number) = numbers.get(&one.campaign.key) else { continue };
        let rows = stored.remove(number).unwrap_or_default();
        let desired = timers_of(one);
        let known = Known::of(&one.campaign.key, rows);
        if !known.is(&desired) {
            wrong.push((*number, &one.campaign, desired, known));
        }
    }
    if wrong.is_empty() {
        return Ok(HashSet::new());
    }
    let gone: Vec<i64> = wrong.iter().map(|(number, ..)| *number).collect();
    diesel::delete(timers::table.filter(timers::campaign.eq_any(&gone))).execute(&mut *unit.connection).await?;
    let rows: Vec<NewRow<'_>> = wrong
        .iter()
        .flat_map(|(number, campaign, desired, known)| {
            desired.iter().map(|(id, want)| NewRow::of(*number, campaign, want, known.rows.get(id)))
        })
        .collect();
    insert_timers(unit, &rows).await?;
    Ok(wrong.into_iter().map(|(_, campaign, ..)| &campaign.key).collect())
}

/// What the timer table says of one campaign's timers.
struct Known {
    rows: HashMap<TimerId, (Timer, TimerProgress)>,
    /// Whether all of it can be read, and is of the campaign's tenant.
    sound: bool,
}

impl Known {
    fn of(key: &CampaignKey, rows: Vec<ArmedRow>) -> Self {
        let mut known = Self { rows: HashMap::new(), sound: true };
        for (core, progress, tenant) in rows {
            known.sound &= tenant == key.tenant.as_str();
            match core.timer() {
                Ok(timer) => drop(known.rows.insert(timer.id, (timer, progress))),
                Err(_) => known.sound = false,
            }
        }
        known
    }

    fn is(&self, desired: &BTreeMap<TimerId, Desired<'_>>) -> bool {
        let same = |(id, want): (&TimerId, &Desired<'_>)| {
            self.rows.get(id).is_some_and(|(timer, progress)| {
                timer == want.timer
                    && progress.state == want.state.as_str()
                    && progress.held == want.held
                    && progress.completed_at == want.completed_at
                    && progress.fire_at == progress.must_fire_at(timer.due)
                    && progress.rank == rank(&timer.kind)
            })
        };
        self.sound && self.rows.len() == desired.len() && desired.iter().all(same)
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
    fn of(number: i64, campaign: &'a Campaign, want: &Desired<'a>, known: Option<&'a (Timer, TimerProgress)>) -> Self {
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
