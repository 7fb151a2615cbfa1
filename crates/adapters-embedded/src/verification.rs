//! Reads for proofs: case files, doubled commands, the hash chain. What is a violation is the domain's business.

use async_trait::async_trait;
use chrono::TimeDelta;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text};
use domain::{CampaignKey, Step, invariants};
use ports::PortError;
use ports::journal::{Entry, Position};
use ports::query::TimerState;
use ports::store::MAX_BATCH;
use ports::verification::{CaseFile, ChainFault, ChainPage, RebuildOrder, RebuildReport, Verification};
use wire::chain::{self, ChainRow};

use crate::embedded::Embedded;
use crate::failure::{Failure, refused};
use crate::findings::{CampaignRow, Findings};
use crate::rebuild;
use crate::rows::{self, JournalRow, TimerCore, TimerProgress, int, limit_of, uint};
use crate::schema::{campaigns, journal, timers};

/// The most links in one look at the chain.
const MOST_LINKS: usize = 10_000;

/// The most faults in one answer.
const MOST_FAULTS: usize = 100;

#[async_trait]
impl Verification for Embedded {
    async fn case_files(&self, after: Option<CampaignKey>, limit: usize) -> Result<Vec<CaseFile>, PortError> {
        self.on_reader(move |connection| {
            let keys = keys_after(connection, after.as_ref(), limit)?;
            keys.into_iter().map(|key| case_file(connection, key)).collect()
        })
        .await
    }

    async fn doubled_commands(
        &self,
        after: Position,
        within: TimeDelta,
        limit: usize,
    ) -> Result<Vec<(String, u64)>, PortError> {
        let within = within.num_microseconds().unwrap_or(i64::MAX);
        self.on_reader(move |connection| {
            // The facts of one decision stand one after the other. Where a command's facts begin anew, there was another.
            // A timer fires once for ever; the ids of others are theirs (`Actor::sender`) and remembered for a time.
            let found = sql_query(
                "WITH decisions AS ( \
                   SELECT position, tenant, command, at, \
                     CASE actor_kind WHEN 'producer' THEN 'event/' || actor_subject WHEN 'timer' THEN 'timer' \
                       WHEN 'system' THEN 'system' ELSE 'call' END AS sender \
                   FROM journal AS fact \
                   WHERE position > ? AND command IS NOT NULL AND NOT EXISTS \
                     (SELECT 1 FROM journal AS previous WHERE previous.position = fact.position - 1 \
                      AND previous.tenant = fact.tenant AND previous.command = fact.command AND previous.at = fact.at)), \
                 repeats AS ( \
                   SELECT tenant, sender, command, \
                     at - lag(at) OVER (PARTITION BY tenant, sender, command ORDER BY position) AS since \
                   FROM decisions) \
                 SELECT tenant || '/' || command AS name, count(*) + 1 AS decisions FROM repeats \
                 WHERE since IS NOT NULL AND (since < ? OR sender = 'timer') \
                 GROUP BY tenant, sender, command LIMIT ?",
            )
            .bind::<BigInt, _>(int(after.0))
            .bind::<BigInt, _>(within)
            .bind::<BigInt, _>(limit_of(limit, MAX_BATCH))
            .load::<Doubled>(connection)?;
            Ok(found.into_iter().map(|doubled| (doubled.name, uint(doubled.decisions))).collect())
        })
        .await
    }

    async fn check_chain(&self, after: Position, hash: &str, limit: usize) -> Result<ChainPage, PortError> {
        let known = match hash {
            "" => None,
            text => Some(chain::from_hex(text).ok_or_else(|| refused("a hash has 64 hex digits").0)?),
        };
        self.on_reader(move |connection| check_chain(connection, after, known, limit.clamp(1, MOST_LINKS))).await
    }

    async fn rebuild(&self, order: &RebuildOrder) -> Result<RebuildReport, PortError> {
        rebuild::run(self, order).await
    }
}

#[derive(QueryableByName)]
struct Doubled {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    decisions: i64,
}

#[derive(QueryableByName)]
struct KeyRow {
    #[diesel(sql_type = Text)]
    tenant: String,
    #[diesel(sql_type = Text)]
    id: String,
}

/// The campaigns after `after`: those that are stored, and those of which there is only a log.
pub(crate) fn keys_after(
    connection: &mut SqliteConnection,
    after: Option<&CampaignKey>,
    limit: usize,
) -> Result<Vec<CampaignKey>, Failure> {
    let (tenant, id) = after.map_or(("", ""), |key| (key.tenant.as_str(), key.id.as_str()));
    let rows = sql_query(
        "SELECT tenant, id FROM campaigns WHERE (tenant, id) > (?, ?) \
         UNION SELECT tenant, campaign FROM journal \
               WHERE campaign IS NOT NULL AND sequence IS NOT NULL AND (tenant, campaign) > (?, ?) \
         ORDER BY 1, 2 LIMIT ?",
    )
    .bind::<Text, _>(tenant)
    .bind::<Text, _>(id)
    .bind::<Text, _>(tenant)
    .bind::<Text, _>(id)
    .bind::<BigInt, _>(limit_of(limit, MAX_BATCH))
    .load::<KeyRow>(connection)?;
    rows.into_iter().map(|row| rows::key(&row.tenant, &row.id)).collect()
}

fn case_file(connection: &mut SqliteConnection, key: CampaignKey) -> Result<CaseFile, Failure> {
    let row: Option<CampaignRow> = campaigns::table
        .select(CampaignRow::as_select())
        .filter(campaigns::tenant.eq(key.tenant.as_str()).and(campaigns::id.eq(key.id.as_str())))
        .get_result(connection)
        .optional()?;
    let log = journal::table
        .select(JournalRow::as_select())
        .filter(journal::tenant.eq(key.tenant.as_str()).and(journal::campaign.eq(key.id.as_str())))
        .filter(journal::sequence.is_not_null())
        .order(journal::sequence)
        .load::<JournalRow>(connection)?;
    let stored = match &row {
        Some(row) => rows::campaign(&key, &row.body),
        None => Err("it has a log and no stored state".to_owned()),
    };
    let mut findings = Findings::new(&key);
    let (mut pending, mut failed) = (Vec::new(), Vec::new());
    if let Some(row) = &row {
        if let Ok(campaign) = &stored {
            findings.compare_campaign(campaign, row);
        }
        let (waiting, given_up) = (TimerState::Pending.as_str(), TimerState::Failed.as_str());
        let timers = timers::table
            .select((TimerCore::as_select(), TimerProgress::as_select()))
            .filter(timers::campaign.eq(row.number))
            .filter(timers::state.eq(waiting).or(timers::state.eq(given_up)))
            .load::<(TimerCore, TimerProgress)>(connection)?;
        for (core, progress) in timers {
            let Some(timer) = findings.readable(&core) else { continue };
            findings.compare_timer(stored.as_ref().ok(), &timer, &progress);
            if progress.state == waiting {
                pending.push(timer);
            } else {
                failed.push(timer.id);
            }
        }
    }
    let faults = findings.faults;
    Ok(CaseFile { stored, log: log.iter().map(step).collect(), key, pending, failed, faults })
}

fn step(row: &JournalRow) -> Result<Step, String> {
    match row.record() {
        Ok(record) => match record.fact.entry {
            Entry::Step(step) => Ok(step.step),
            _ => Err(format!("journal position {}: it has a sequence and is no step", row.position)),
        },
        Err(Failure(error)) => Err(error.to_string()),
    }
}

type LinkRow = (JournalRow, Option<String>, Option<String>, Option<i64>, Vec<u8>);

fn check_chain(
    connection: &mut SqliteConnection,
    after: Position,
    known: Option<[u8; 32]>,
    limit: usize,
) -> Result<ChainPage, Failure> {
    let mut faults = Vec::new();
    let stored: Option<Vec<u8>> = journal::table
        .select(journal::hash)
        .filter(journal::position.eq(int(after.0)))
        .get_result(connection)
        .optional()?;
    let stored = stored.and_then(|hash| hash.try_into().ok());
    let start = if after == Position::START { Some(chain::GENESIS) } else { stored };
    if known.is_some() && known != start {
        faults.push(ChainFault { position: after, detail: "its hash is not the one that was noted".to_owned() });
    }
    let mut previous = known.or(start).unwrap_or(chain::GENESIS);
    let mut last = after;
    let links = journal::table
        .select((JournalRow::as_select(), journal::campaign, journal::owner, journal::sequence, journal::hash))
        .filter(journal::position.gt(int(after.0)))
        .order(journal::position)
        .limit(limit_of(limit, MOST_LINKS))
        .load::<LinkRow>(connection)?;
    for link in &links {
        let position = Position(uint(link.0.position));
        let stored: Option<[u8; 32]> = link.4.as_slice().try_into().ok();
        let expected = expected_hash(&previous, &link.0);
        let detail = if let Some(gap) = invariants::check_positions(last.0, position.0) {
            Some(gap.detail)
        } else if expected.is_none() || stored != expected {
            Some("its content and the hash before it do not give its hash: one of them was changed".to_owned())
        } else {
            columns_differ(link)
        };
        faults.extend(detail.map(|detail| ChainFault { position, detail }));
        // Goes on from what stands there, so that one change is one fault.
        previous = stored.or(expected).unwrap_or(previous);
        last = position;
    }
    faults.truncate(MOST_FAULTS);
    let hash = if last == Position::START { String::new() } else { chain::to_hex(&previous) };
    Ok(ChainPage { last, hash, checked: links.len() as u64, faults, done: links.len() < limit })
}

fn expected_hash(previous: &[u8; 32], row: &JournalRow) -> Option<[u8; 32]> {
    let id = uuid::Uuid::from_slice(&row.id).ok()?;
    Some(chain::link(
        previous,
        &ChainRow {
            position: uint(row.position),
            id,
            at_micros: row.at,
            tenant: &row.tenant,
            actor_kind: &row.actor_kind,
            actor_subject: &row.actor_subject,
            command: row.command.as_deref(),
            correlation: row.correlation.as_deref(),
            kind: &row.kind,
            data: &row.data,
        },
    ))
}

/// The columns by which a row is found are no part of the chain; they must say what the data says.
fn columns_differ((row, campaign, owner, sequence, _): &LinkRow) -> Option<String> {
    match row.record() {
        Ok(record) => {
            let entry = &record.fact.entry;
            let same = entry.campaign().map(domain::CampaignId::as_str) == campaign.as_deref()
                && entry.owner().map(domain::OwnerId::as_str) == owner.as_deref()
                && entry.sequence().map(int) == *sequence;
            (!same).then(|| "its campaign, owner or sequence is not that of its data".to_owned())
        }
        Err(Failure(error)) => Some(error.to_string()),
    }
}
