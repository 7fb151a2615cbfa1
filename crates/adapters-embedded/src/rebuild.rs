//! State and timer table written anew from the journal, in portions of one commit each, and told in the journal. How a repair
//! is told lives in `wire::rebuild`.

use std::collections::BTreeMap;

use diesel::prelude::*;
use domain::{Campaign, CampaignKey, Timer, TimerId};
use ports::PortError;
use ports::journal::{Entry, Record};
use ports::query::TimerState;
use ports::verification::{RebuildOrder, RebuildReport};
use wire::rebuild::{self, Difference, Wanted};

use crate::embedded::Embedded;
use crate::failure::Failure;
use crate::findings::CampaignRow;
use crate::journal::append;
use crate::rows::{self, JournalRow, TimerCore, TimerProgress, instant, int, micros, rank};
use crate::schema::{campaigns, journal, statement, timers};
use crate::store::insert_campaign;
use crate::verification::keys_after;
use crate::writer::Unit;

/// How many campaigns one commit rebuilds.
const PORTION: usize = 200;

statement! {
    RewriteCampaign<'a> {
        version: i64 as BigInt,
        status: &'a str as Text,
        owner: Option<&'a str> as MaybeText,
        start_at: i64 as BigInt,
        end_at: i64 as BigInt,
        body: &'a str as Text,
        number: i64 as BigInt,
    }
    "UPDATE campaigns SET version = ?, status = ?, owner = ?, start_at = ?, end_at = ?, body = ? WHERE number = ?"
}

statement! {
    InsertTimer<'a> {
        id: &'a [u8] as Binary,
        campaign: i64 as BigInt,
        tenant: &'a str as Text,
        kind: &'a str as Text,
        name: &'a str as Text,
        due_at: i64 as BigInt,
        rank: i64 as BigInt,
        generation: i64 as BigInt,
        payload: Option<&'a str> as MaybeText,
        state: &'a str as Text,
        held: i64 as BigInt,
        attempts: i64 as BigInt,
        retry_at: Option<i64> as MaybeInt,
        error: Option<&'a str> as MaybeText,
        completed_at: Option<i64> as MaybeInt,
        fire_at: Option<i64> as MaybeInt,
    }
    "INSERT INTO timers (id, campaign, tenant, kind, name, due_at, rank, generation, payload, state, held, attempts, \
     retry_at, error, completed_at, fire_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
}

/// Rebuilds every campaign.
pub(crate) async fn run(store: &Embedded, order: &RebuildOrder) -> Result<RebuildReport, PortError> {
    let mut report = RebuildReport::default();
    let mut after = None;
    loop {
        let (start, order) = (after.take(), order.clone());
        let (part, last) = store.on_writer(move |unit| portion(unit, &order, start.as_ref())).await?;
        report.campaigns += part.campaigns;
        report.repaired.extend(part.repaired);
        report.unreadable.extend(part.unreadable);
        match last {
            Some(key) => after = Some(key),
            None => return Ok(report),
        }
    }
}

fn portion(
    unit: &mut Unit<'_>,
    order: &RebuildOrder,
    after: Option<&CampaignKey>,
) -> Result<(RebuildReport, Option<CampaignKey>), Failure> {
    let keys = keys_after(unit.connection, after, PORTION)?;
    let mut report = RebuildReport::default();
    for key in &keys {
        let Some((campaign, entries)) = fold(unit.connection, key)? else {
            report.unreadable.push(key.clone());
            continue;
        };
        report.campaigns += 1;
        let (number, mut differences) = rewrite_campaign(unit, &campaign)?;
        differences.extend(rewrite_timers(unit, number, &campaign, &rebuild::timers_of(&campaign, &entries))?);
        if !differences.is_empty() {
            let fact = rebuild::repaired(order, unit.clock.now(), &campaign, &differences);
            append(unit, vec![fact])?;
            report.repaired.push((campaign.key, campaign.version));
        }
    }
    Ok((report, keys.last().cloned()))
}

/// The campaign that its log gives, and its journal; none when that cannot be read or folded.
fn fold(connection: &mut SqliteConnection, key: &CampaignKey) -> Result<Option<(Campaign, Vec<Entry>)>, Failure> {
    let rows = journal::table
        .select(JournalRow::as_select())
        .filter(journal::tenant.eq(key.tenant.as_str()).and(journal::campaign.eq(key.id.as_str())))
        .order(journal::position)
        .load::<JournalRow>(connection)?;
    let Ok(records) = rows.iter().map(JournalRow::record).collect::<Result<Vec<Record>, Failure>>() else {
        return Ok(None);
    };
    let entries: Vec<Entry> = records.into_iter().map(|record| record.fact.entry).collect();
    let steps = entries.iter().filter_map(rebuild::step_of);
    Ok(domain::fold(key, steps).ok().map(|campaign| (campaign, entries)))
}

/// Answers the campaign's number, and in what its row was different.
fn rewrite_campaign(unit: &mut Unit<'_>, campaign: &Campaign) -> Result<(i64, Vec<Difference>), Failure> {
    let key = &campaign.key;
    let row: Option<CampaignRow> = campaigns::table
        .select(CampaignRow::as_select())
        .filter(campaigns::tenant.eq(key.tenant.as_str()).and(campaigns::id.eq(key.id.as_str())))
        .get_result(unit.connection)
        .optional()?;
    let Some(row) = row else {
        unit.head.campaigns += 1;
        insert_campaign(unit.connection, unit.head.campaigns, campaign)?;
        return Ok((unit.head.campaigns, vec![Difference::state(None, campaign)]));
    };
    let mut differences: Vec<Difference> =
        row.wrong_columns(campaign).map(|(name, is, must)| Difference::column(name, is, must)).collect();
    let readable = rows::campaign(key, &row.body);
    if readable.as_ref() != Ok(campaign) {
        let before = (row.body.as_str(), readable.as_ref().map_err(String::as_str));
        differences.push(Difference::state(Some(before), campaign));
    }
    if !differences.is_empty() {
        let window = &campaign.definition.window;
        let rewrite = RewriteCampaign {
            version: int(campaign.version),
            status: campaign.status().as_str(),
            owner: campaign.definition.owner.as_ref().map(domain::OwnerId::as_str),
            start_at: micros(window.start()),
            end_at: micros(window.end()),
            body: &wire::stored::encode_campaign(campaign),
            number: row.number,
        };
        rewrite.execute(unit.connection)?;
    }
    Ok((row.number, differences))
}

/// What the timer table says of one campaign's timers.
#[derive(Default)]
struct Known {
    rows: BTreeMap<TimerId, (Timer, TimerProgress)>,
    /// Rows that cannot be read.
    odd: Vec<Difference>,
}

impl Known {
    fn of(rows: Vec<(TimerCore, TimerProgress)>) -> Self {
        let mut known = Self::default();
        for (core, progress) in rows {
            if let Ok(timer) = core.timer() {
                known.rows.insert(timer.id, (timer, progress));
            } else {
                let id = TimerId(uuid::Uuid::from_slice(&core.id).unwrap_or_default());
                known.odd.push(Difference::timer(id, Some("unreadable".to_owned()), None));
            }
        }
        known
    }

    /// In what it differs from what it must say.
    fn differences(&self, wanted: &BTreeMap<TimerId, Wanted<'_>>) -> Vec<Difference> {
        let row = |timer: &Timer, p: &TimerProgress| {
            let fire_at = p.fire_at.and_then(|at| instant(at).ok());
            rebuild::timer_row(timer, &p.state, p.held != 0, fire_at, p.rank)
        };
        let mut found = self.odd.clone();
        for (id, want) in wanted {
            let known = self.rows.get(id);
            let same = known.is_some_and(|(timer, progress)| {
                timer == want.timer
                    && progress.state == want.state.as_str()
                    && (progress.held != 0) == want.held
                    && progress.completed_at == want.completed_at.map(micros)
                    && progress.fire_at == progress.must_fire_at(micros(timer.due))
                    && progress.rank == rank(&timer.kind)
            });
            if !same {
                let waits = want.state == TimerState::Pending && !want.held;
                let (fire_at, rank) = (waits.then_some(want.timer.due), rank(&want.timer.kind));
                let after = rebuild::timer_row(want.timer, want.state.as_str(), want.held, fire_at, rank);
                found.push(Difference::timer(*id, known.map(|(timer, p)| row(timer, p)), Some(after)));
            }
        }
        let unknown = self.rows.iter().filter(|(id, _)| !wanted.contains_key(id));
        found.extend(unknown.map(|(id, (timer, p))| Difference::timer(*id, Some(row(timer, p)), None)));
        found
    }
}

/// Answers in what the rows were different. How often a timer was tried stands in no journal and is kept.
fn rewrite_timers(
    unit: &mut Unit<'_>,
    number: i64,
    campaign: &Campaign,
    wanted: &BTreeMap<TimerId, Wanted<'_>>,
) -> Result<Vec<Difference>, Failure> {
    let tenant = campaign.key.tenant.as_str();
    let rows = timers::table
        .select((TimerCore::as_select(), TimerProgress::as_select()))
        .filter(timers::campaign.eq(number))
        .load::<(TimerCore, TimerProgress)>(unit.connection)?;
    let known = Known::of(rows);
    let differences = known.differences(wanted);
    if differences.is_empty() {
        return Ok(differences);
    }
    // A timer may have been put under another campaign.
    let back: Vec<&[u8]> = wanted.keys().map(|id| id.0.as_bytes().as_slice()).collect();
    let misplaced = timers::campaign.eq(number).or(timers::id.eq_any(back));
    diesel::delete(timers::table.filter(misplaced)).execute(unit.connection)?;
    for (id, want) in wanted {
        let kept = known.rows.get(id).map(|(_, progress)| progress).filter(|p| p.state == want.state.as_str());
        let waits = want.state == TimerState::Pending && !want.held;
        let retry_at = kept.and_then(|p| p.retry_at).filter(|_| waits);
        let due_at = micros(want.timer.due);
        let fire_at = waits.then(|| retry_at.unwrap_or(due_at));
        if let Some(at) = fire_at {
            unit.news.arm(instant(at)?);
        }
        InsertTimer {
            id: id.0.as_bytes(),
            campaign: number,
            tenant,
            kind: want.timer.kind.as_str(),
            name: want.timer.kind.name().map_or("", domain::TimerName::as_str),
            due_at,
            rank: rank(&want.timer.kind),
            generation: int(want.timer.generation),
            payload: want.timer.payload.as_ref().map(domain::JsonText::as_str),
            state: want.state.as_str(),
            held: i64::from(want.held),
            attempts: kept.map_or(i64::from(want.attempts), |p| p.attempts),
            retry_at,
            error: kept.and_then(|p| p.error.as_deref()).or(want.error),
            completed_at: want.completed_at.map(micros),
            fire_at,
        }
        .execute(unit.connection)?;
    }
    Ok(differences)
}
