//! What is known of a run when it is over: the journals of the load, and what PostgreSQL says of the same time.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::journal::{self, Attempt, Outcome, Seen, Told, Via};
use crate::rig::Rig;

/// Everything about one run.
pub(crate) struct Facts {
    /// By key.
    pub(super) ops: BTreeMap<String, Op>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) told: Vec<Told>,
    pub(super) seen: Vec<Seen>,
    /// In order; what is after `from`.
    pub(super) log: Vec<Row>,
    /// By key.
    pub(super) inbox: HashMap<String, Answer>,
    /// Where the log ended when the run began.
    pub(super) from: u64,
    /// Where it ended when the load had ended.
    pub(super) head: u64,
}

/// A command, and what its sender knows of it in the end.
pub(super) struct Op {
    pub(super) via: Via,
    pub(super) first_sent: i64,
    pub(super) answered: i64,
    pub(super) outcome: Outcome,
}

/// A row of the log.
pub(super) struct Row {
    pub(super) position: u64,
    pub(super) campaign: String,
    /// 0: it is no step of a campaign.
    pub(super) sequence: u64,
    pub(super) command: String,
}

/// What the inbox holds about a command.
pub(super) struct Answer {
    pub(super) applied: bool,
    pub(super) at: i64,
}

impl Facts {
    /// Collects them; the journals are in `folder`.
    pub(crate) fn of(rig: &Rig, run: &str, folder: &Path, from: u64, head: u64) -> Result<Self> {
        let attempts: Vec<Attempt> = journal::read(&folder.join("commands"))?;
        Ok(Self {
            ops: ops(&attempts),
            attempts,
            told: journal::read(&folder.join("watch"))?,
            seen: journal::read(&folder.join("read"))?,
            log: log(rig, from)?,
            inbox: inbox(rig, run)?,
            from,
            head,
        })
    }

    /// How long 99 of 100 answers over HTTP took at most, of those asked for between two instants.
    pub(crate) fn http_p99(&self, begin: i64, end: i64) -> i64 {
        http_p99(self.attempts.iter().filter(|attempt| (begin..end).contains(&attempt.sent)))
    }

    /// Answers a second between two instants, in milliseconds since 1970.
    pub(crate) fn rate(&self, begin: i64, end: i64) -> f64 {
        rate(&self.attempts, begin, end)
    }
}

/// How long 99 of 100 answers over HTTP took at most, among `attempts`.
pub(crate) fn http_p99<'a>(attempts: impl Iterator<Item = &'a Attempt>) -> i64 {
    let of_http = attempts.filter(|attempt| attempt.via == Via::Http);
    let mut took: Vec<i64> = of_http.map(|attempt| attempt.answered - attempt.sent).collect();
    took.sort_unstable();
    took.get((took.len() * 99).saturating_sub(1) / 100).copied().unwrap_or_default()
}

/// Commands that were answered with yes, a second.
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
pub(crate) fn rate(attempts: &[Attempt], begin: i64, end: i64) -> f64 {
    let within = |attempt: &&Attempt| attempt.outcome == Outcome::Ok && (begin..end).contains(&attempt.answered);
    let seconds = (end - begin).max(1) as f64 / 1000.0;
    attempts.iter().filter(within).count() as f64 / seconds
}

fn ops(attempts: &[Attempt]) -> BTreeMap<String, Op> {
    let mut ops = BTreeMap::new();
    for attempt in attempts {
        let op = ops.entry(attempt.key.clone()).or_insert(Op {
            via: attempt.via,
            first_sent: attempt.sent,
            answered: attempt.answered,
            outcome: attempt.outcome,
        });
        op.answered = attempt.answered;
        op.outcome = attempt.outcome;
    }
    ops
}

fn log(rig: &Rig, from: u64) -> Result<Vec<Row>> {
    let sql = format!(
        "SELECT position, coalesce(sequence, 0), coalesce(campaign, ''), coalesce(command, '') \
         FROM journal WHERE position > {from} ORDER BY position"
    );
    rig.sql(&sql)?.lines().map(|line| row(line).with_context(|| format!("no row of the log: {line}"))).collect()
}

fn row(line: &str) -> Option<Row> {
    let mut values = line.splitn(4, '|');
    Some(Row {
        position: values.next()?.parse().ok()?,
        sequence: values.next()?.parse().ok()?,
        campaign: values.next()?.to_owned(),
        command: values.next()?.to_owned(),
    })
}

fn inbox(rig: &Rig, run: &str) -> Result<HashMap<String, Answer>> {
    let sql = format!(
        "SELECT command, outcome <> 'rejected', floor(extract(epoch FROM at) * 1000)::bigint FROM inbox \
         WHERE command LIKE '{run}-k%'"
    );
    let answer = |line: &str| {
        let mut values = line.split('|');
        let (key, applied, at) = (values.next()?, values.next()? == "t", values.next()?.parse().ok()?);
        Some((key.to_owned(), Answer { applied, at }))
    };
    rig.sql(&sql)?.lines().map(|line| answer(line).with_context(|| format!("no row of the inbox: {line}"))).collect()
}
