//! State and timer table written anew from the journal, in portions of one commit each.

use std::collections::BTreeMap;

use diesel::prelude::*;
use domain::{Campaign, CampaignKey, Step, Timer, TimerId, Timestamp};
use ports::PortError;
use ports::journal::{Entry, Record};
use ports::query::TimerState;
use ports::verification::RebuildReport;

use crate::embedded::Embedded;
use crate::failure::Failure;
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
pub(crate) async fn run(store: &Embedded) -> Result<RebuildReport, PortError> {
    let mut report = RebuildReport::default();
    let mut after = None;
    loop {
        let start = after.take();
        let (part, last) = store.on_writer(move |unit| portion(unit, start.as_ref())).await?;
        report.campaigns += part.campaigns;
        report.repaired += part.repaired;
        report.unreadable.extend(part.unreadable);
        match last {
            Some(key) => after = Some(key),
            None => return Ok(report),
        }
    }
}

fn portion(unit: &mut Unit<'_>, after: Option<&CampaignKey>) -> Result<(RebuildReport, Option<CampaignKey>), Failure> {
    let keys = keys_after(unit.connection, after, PORTION)?;
    let mut report = RebuildReport::default();
    for key in &keys {
        let Some((campaign, entries)) = fold(unit.connection, key)? else {
            report.unreadable.push(key.clone());
            continue;
        };
        report.campaigns += 1;
        let (number, state_differs) = rewrite_campaign(unit, &campaign)?;
        let timers_differ = rewrite_timers(unit, number, &campaign, timers_of(&campaign, &entries))?;
        report.repaired += u64::from(state_differs || timers_differ);
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
    let steps = entries.iter().filter_map(step_of);
    Ok(domain::fold(key, steps).ok().map(|campaign| (campaign, entries)))
}

fn step_of(entry: &Entry) -> Option<&Step> {
    match entry {
        Entry::Step(step) => Some(&step.step),
        Entry::Rejected { .. } | Entry::TimerFailed { .. } | Entry::Notice { .. } => None,
    }
}

/// Answers the campaign's number, and whether its row was different.
fn rewrite_campaign(unit: &mut Unit<'_>, campaign: &Campaign) -> Result<(i64, bool), Failure> {
    type Row = (i64, i64, String, Option<String>, i64, i64, String);
    let key = &campaign.key;
    let row: Option<Row> = campaigns::table
        .select((
            campaigns::number,
            campaigns::version,
            campaigns::status,
            campaigns::owner,
            campaigns::start_at,
            campaigns::end_at,
            campaigns::body,
        ))
        .filter(campaigns::tenant.eq(key.tenant.as_str()).and(campaigns::id.eq(key.id.as_str())))
        .get_result(unit.connection)
        .optional()?;
    let Some((number, version, status, owner, start_at, end_at, body)) = row else {
        unit.head.campaigns += 1;
        insert_campaign(unit.connection, unit.head.campaigns, campaign)?;
        return Ok((unit.head.campaigns, true));
    };
    let window = &campaign.definition.window;
    let rewrite = RewriteCampaign {
        version: int(campaign.version),
        status: campaign.status().as_str(),
        owner: campaign.definition.owner.as_ref().map(domain::OwnerId::as_str),
        start_at: micros(window.start()),
        end_at: micros(window.end()),
        body: &wire::stored::encode_campaign(campaign),
        number,
    };
    let same = version == rewrite.version
        && status == rewrite.status
        && owner.as_deref() == rewrite.owner
        && (start_at, end_at) == (rewrite.start_at, rewrite.end_at)
        && rows::campaign(key, &body).as_ref() == Ok(campaign);
    if !same {
        rewrite.execute(unit.connection)?;
    }
    Ok((number, !same))
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
fn timers_of<'a>(campaign: &Campaign, entries: &'a [Entry]) -> BTreeMap<TimerId, Desired<'a>> {
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

/// Answers whether the rows were different. How often a timer was tried stands in no journal and is kept.
fn rewrite_timers(
    unit: &mut Unit<'_>,
    number: i64,
    campaign: &Campaign,
    desired: BTreeMap<TimerId, Desired<'_>>,
) -> Result<bool, Failure> {
    let tenant = campaign.key.tenant.as_str();
    let rows = timers::table
        .select((TimerCore::as_select(), TimerProgress::as_select()))
        .filter(timers::campaign.eq(number))
        .load::<(TimerCore, TimerProgress)>(unit.connection)?;
    let mut known: BTreeMap<TimerId, (Timer, TimerProgress)> = BTreeMap::new();
    let mut readable = true;
    for (core, progress) in rows {
        match core.timer() {
            Ok(timer) => drop(known.insert(timer.id, (timer, progress))),
            Err(_) => readable = false,
        }
    }
    let same = readable
        && known.len() == desired.len()
        && desired.iter().all(|(id, want)| {
            known.get(id).is_some_and(|(timer, progress)| {
                timer == want.timer
                    && progress.state == want.state.as_str()
                    && (progress.held != 0) == want.held
                    && progress.completed_at == want.completed_at.map(micros)
                    && progress.fire_at == progress.must_fire_at(micros(timer.due))
                    && progress.rank == rank(&timer.kind)
            })
        });
    if same {
        return Ok(false);
    }
    diesel::delete(timers::table.filter(timers::campaign.eq(number))).execute(unit.connection)?;
    for (id, want) in desired {
        let kept = known.get(&id).map(|(_, progress)| progress).filter(|p| p.state == want.state.as_str());
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
    Ok(true)
}
