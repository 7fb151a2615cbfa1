//! Reads for proofs: case files, doubled commands, the hash chain. What is a violation is the domain's business.

use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Interval, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::{CampaignKey, Step, invariants};
use ports::PortError;
use ports::journal::{Entry, Position};
use ports::query::TimerState;
use ports::store::MAX_BATCH;
use ports::verification::{CaseFile, ChainFault, ChainPage, RebuildOrder, RebuildReport, Verification};
use wire::chain::{self, ChainRow};

use crate::case_rows::{self, ArmedRow, LogRow};
use crate::failure::{Failure, refused};
use crate::findings::{CampaignRow, Findings};
use crate::postgres::{Freshness, Postgres};
use crate::rebuild;
use crate::rows::{self, JournalRow, int, limit_of, uint};
use crate::schema::{journal, journal_head};

/// The most links in one look at the chain.
const MOST_LINKS: usize = 10_000;

/// The most faults in one answer.
const MOST_FAULTS: usize = 100;

/// How long a statement may take that reads a page of campaigns with their logs, or of the chain.
const PAGE_LIMIT: Duration = Duration::from_mins(1);

/// How long a statement may take that reads the whole journal.
const WHOLE_LIMIT: Duration = Duration::from_mins(30);

#[async_trait]
impl Verification for Postgres {
    async fn case_files(&self, after: Option<CampaignKey>, limit: usize) -> Result<Vec<CaseFile>, PortError> {
        self.read(Freshness::Now, async move |connection| {
            case_rows::allow(connection, PAGE_LIMIT).await?;
            let mut after = after;
            loop {
                let keys = case_rows::keys_after(connection, after.as_ref(), limit).await?;
                let files = case_files(connection, &keys).await?;
                if keys.is_empty() || !files.is_empty() {
                    return Ok(files);
                }
                // All of them are archived; an empty page would look like the end.
                after = keys.last().cloned();
            }
        })
        .await
    }

    async fn doubled_commands(
        &self,
        after: Position,
        within: TimeDelta,
        limit: usize,
    ) -> Result<Vec<(String, u64)>, PortError> {
        // What does not fit into an interval is longer than any journal.
        let within = within.num_microseconds().unwrap_or(i64::MAX);
        self.read(Freshness::Now, async move |connection| {
            case_rows::allow(connection, WHOLE_LIMIT).await?;
            let found = sql_query(DOUBLED)
                .bind::<BigInt, _>(int(after.0))
                .bind::<Interval, _>(diesel::data_types::PgInterval::from_microseconds(within))
                .bind::<BigInt, _>(limit_of(limit, MAX_BATCH))
                .load::<Doubled>(connection)
                .await?;
            Ok(found.into_iter().map(|doubled| (doubled.name, uint(doubled.decisions))).collect())
        })
        .await
    }

    async fn check_chain(&self, after: Position, hash: &str, limit: usize) -> Result<ChainPage, PortError> {
        let known = match hash {
            "" => None,
            text => Some(chain::from_hex(text).ok_or_else(|| refused("a hash has 64 hex digits").into_port())?),
        };
        self.read(Freshness::Now, async move |connection| {
            case_rows::allow(connection, PAGE_LIMIT).await?;
            check_chain(connection, after, known, limit.clamp(1, MOST_LINKS)).await
        })
        .await
    }

    async fn rebuild(&self, order: &RebuildOrder) -> Result<RebuildReport, PortError> {
        rebuild::run(self, order).await
    }
}

/// The facts of one decision stand one after the other. Where a command's facts begin anew, there was another.
/// A timer fires once for ever; the ids of others are theirs (`Actor::sender`) and remembered for a time.
const DOUBLED: &str = "\
WITH facts AS (
  SELECT position, tenant, command, at,
    CASE actor_kind WHEN 'producer' THEN 'event/' || actor_subject WHEN 'timer' THEN 'timer'
      WHEN 'system' THEN 'system' ELSE 'call' END AS sender,
    lag((tenant, command, at)) OVER (ORDER BY position) AS previous
  FROM journal WHERE position > $1),
repeats AS (
  SELECT tenant, sender, command, at - lag(at) OVER (PARTITION BY tenant, sender, command ORDER BY position) AS since
  FROM facts WHERE command IS NOT NULL AND (tenant, command, at) IS DISTINCT FROM previous)
SELECT tenant || '/' || command AS name, count(*) + 1 AS decisions FROM repeats
WHERE since IS NOT NULL AND (since < $2 OR sender = 'timer')
GROUP BY tenant, sender, command LIMIT $3";

#[derive(QueryableByName)]
struct Doubled {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    decisions: i64,
}

async fn case_files(connection: &mut AsyncPgConnection, keys: &[CampaignKey]) -> Result<Vec<CaseFile>, Failure> {
    let floor = case_rows::floor(connection).await?;
    let mut campaigns = case_rows::campaigns(connection, keys).await?;
    let mut logs = case_rows::logs(connection, keys).await?;
    let numbers: Vec<i64> = campaigns.values().map(|row| row.number).collect();
    let mut timers = case_rows::timers(connection, &numbers).await?;
    let mut files = Vec::with_capacity(keys.len());
    for key in keys {
        let row = campaigns.remove(key);
        let log = logs.remove(key).unwrap_or_default();
        if !case_rows::is_archived(floor, row.as_ref(), &log) {
            let armed = row.as_ref().and_then(|row| timers.remove(&row.number)).unwrap_or_default();
            files.push(case_file(key.clone(), row.as_ref(), &log, &armed));
        }
    }
    Ok(files)
}

fn case_file(key: CampaignKey, row: Option<&CampaignRow>, log: &[LogRow], timers: &[ArmedRow]) -> CaseFile {
    let stored = match row {
        Some(row) => rows::campaign(&key, &row.body),
        None => Err("it has a log and no stored state".to_owned()),
    };
    let mut findings = Findings::new(&key);
    if let (Some(row), Ok(campaign)) = (row, &stored) {
        findings.compare_campaign(campaign, row);
    }
    let (waiting, given_up) = (TimerState::Pending.as_str(), TimerState::Failed.as_str());
    let (mut pending, mut failed) = (Vec::new(), Vec::new());
    for (core, progress, tenant) in timers.iter().filter(|(_, p, _)| p.state == waiting || p.state == given_up) {
        let Some(timer) = findings.readable(core) else { continue };
        findings.compare_timer(stored.as_ref().ok(), &timer, tenant, progress);
        if progress.state == waiting {
            pending.push(timer);
        } else {
            failed.push(timer.id);
        }
    }
    let faults = findings.faults;
    let log = log.iter().filter(|(_, sequence)| sequence.is_some()).map(|(row, _)| step(row)).collect();
    CaseFile { stored, log, key, pending, failed, faults }
}

fn step(row: &JournalRow) -> Result<Step, String> {
    match row.record() {
        Ok(record) => match record.fact.entry {
            Entry::Step(step) => Ok(step.step),
            _ => Err(format!("journal position {}: it has a sequence and is no step", row.position)),
        },
        Err(failure) => Err(failure.into_port().to_string()),
    }
}

type LinkRow = (JournalRow, Option<String>, Option<String>, Option<i64>, Vec<u8>);

async fn check_chain(
    connection: &mut AsyncPgConnection,
    after: Position,
    known: Option<[u8; 32]>,
    limit: usize,
) -> Result<ChainPage, Failure> {
    let mut faults = Vec::new();
    let (floor, head, head_hash): (i64, i64, Vec<u8>) = journal_head::table
        .select((journal_head::floor, journal_head::position, journal_head::hash))
        .get_result(connection)
        .await?;
    let begin = Position(after.0.max(uint(floor)));
    let stored: Option<Vec<u8>> = journal::table
        .select(journal::hash)
        .filter(journal::position.eq(int(begin.0)))
        .get_result(connection)
        .await
        .optional()?;
    let start = match begin {
        Position::START => Some(chain::GENESIS),
        _ => stored.and_then(|hash| hash.try_into().ok()),
    };
    let known = known.filter(|_| begin == after);
    // Where the months before were taken away, only who noted it knows the hash before the first that is left.
    let gone = begin.0 == uint(floor) && begin > Position::START;
    if known.is_some() && known != start && !gone {
        faults.push(ChainFault { position: begin, detail: "its hash is not the one that was noted".to_owned() });
    }
    let mut previous = known.or(start);
    let mut last = begin;
    let links = journal::table
        .select((JournalRow::as_select(), journal::campaign, journal::owner, journal::sequence, journal::hash))
        .filter(journal::position.gt(int(begin.0)))
        .order(journal::position)
        .limit(limit_of(limit, MOST_LINKS))
        .load::<LinkRow>(connection)
        .await?;
    for link in &links {
        let position = Position(uint(link.0.position));
        let stored: Option<[u8; 32]> = link.4.as_slice().try_into().ok();
        let expected = match &previous {
            Some(previous) => Some(hash_of(previous, &link.0)),
            None if gone => stored,
            None => Some(hash_of(&chain::GENESIS, &link.0)),
        };
        let detail = if let Some(gap) = invariants::check_positions(last.0, position.0) {
            Some(gap.detail)
        } else if expected.is_none() || stored != expected {
            Some("its content and the hash before it do not give its hash: one of them was changed".to_owned())
        } else {
            columns_differ(link)
        };
        faults.extend(detail.map(|detail| ChainFault { position, detail }));
        // Goes on from what stands there, so that one change is one fault.
        previous = stored.or(expected).or(previous);
        last = position;
    }
    let done = links.len() < limit;
    // A chain by itself does not tell that its end was cut off.
    if done
        && !links.is_empty()
        && (last.0, previous.as_ref().map(<[u8; 32]>::as_slice)) != (uint(head), Some(&head_hash))
    {
        let detail = format!("the journal ends here, and not where its last commit left it, at {head}");
        faults.push(ChainFault { position: last, detail });
    }
    faults.truncate(MOST_FAULTS);
    let hash = previous.filter(|_| last > Position::START).map_or_else(String::new, |hash| chain::to_hex(&hash));
    Ok(ChainPage { last, hash, checked: links.len() as u64, faults, done })
}

fn hash_of(previous: &[u8; 32], row: &JournalRow) -> [u8; 32] {
    let link = ChainRow {
        position: uint(row.position),
        id: row.id,
        at_micros: wire::time::micros(row.at),
        tenant: &row.tenant,
        actor_kind: &row.actor_kind,
        actor_subject: &row.actor_subject,
        command: row.command.as_deref(),
        correlation: row.correlation.as_deref(),
        kind: &row.kind,
        data: &row.data,
    };
    chain::link(previous, &link)
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
        Err(failure) => Some(failure.into_port().to_string()),
    }
}
