//! The oracles: what must hold after every fault, judged from outside of the service (docs/RELIABILITY.md says what each
//! one is).

mod commands;
mod facts;
mod hygiene;
mod live;
mod store;
mod streams;
#[cfg(test)]
mod tests;

pub(crate) use facts::{Facts, http_p99, rate};
pub(crate) use hygiene::{Baseline, inbound_left};
pub(crate) use store::OVERDUE;

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use crate::faults::Limits;
use crate::interrupt::wait;
use crate::rig::Rig;

/// Something that does not hold.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Finding {
    /// `O1` to `O10`, or `extra` for what a fault itself asks for.
    pub(crate) oracle: &'static str,
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

/// What kind of promise is broken. Each oracle, and each fault, says which of its own are of which kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// What is there, how often, and whether it comes at all: that holds on the busiest machine.
    Outcome,
    /// How long, how fast or how much: others who work on the same machine make it worse. `--correctness` tells it only.
    Measure,
}

impl Finding {
    pub(crate) fn outcome(oracle: &'static str, text: impl Into<String>) -> Self {
        Self { oracle, kind: Kind::Outcome, text: text.into() }
    }

    pub(crate) fn measure(oracle: &'static str, text: impl Into<String>) -> Self {
        Self { oracle, kind: Kind::Measure, text: text.into() }
    }

    /// About something that should come within `limit`, and came after `took`: never breaks an outcome, late only a measure.
    pub(crate) fn late(oracle: &'static str, took: Option<Duration>, limit: Duration, text: String) -> Option<Self> {
        match took {
            None => Some(Self::outcome(oracle, text)),
            Some(took) if took > limit => Some(Self::measure(oracle, format!("{text}, but after {took:?}"))),
            Some(_) => None,
        }
    }
}

/// What came out, in numbers.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Figures {
    /// Commands whose outcome is known.
    pub(crate) operations: usize,
    /// Accepted, and not there.
    pub(crate) lost: usize,
    /// Done more than once.
    pub(crate) doubled: usize,
    pub(crate) timers_fired: u64,
    /// From when a timer was due, or known if that was later, to its commit.
    pub(crate) worst_lateness_ms: i64,
    /// From the first time that a command was sent to its answer, or an event's commit.
    pub(crate) worst_command_ms: i64,
    /// Times that live clients were told to take a snapshot.
    pub(crate) resets: usize,
}

/// What was found, and the figures beside.
#[derive(Default)]
pub(crate) struct Judgement {
    pub(crate) findings: Vec<Finding>,
    pub(crate) figures: Figures,
}

impl Judgement {
    /// Adds a finding unless `bad` is empty; the first few are named.
    fn none(&mut self, oracle: &'static str, what: &str, bad: &[String]) {
        const NAMED: usize = 5;
        if !bad.is_empty() {
            let named = bad[..bad.len().min(NAMED)].join(", ");
            self.findings.push(Finding::outcome(oracle, format!("{}: {what}: {named}", bad.len())));
        }
    }

    fn check(&mut self, oracle: &'static str, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            self.findings.push(Finding::outcome(oracle, text()));
        }
    }

    fn measure(&mut self, oracle: &'static str, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            self.findings.push(Finding::measure(oracle, text()));
        }
    }
}

/// What an oracle needs to know of the fault.
pub(crate) struct Circumstances<'a> {
    pub(crate) run: &'a str,
    /// The head of the audit chain before the fault, kept outside of the database.
    pub(crate) anchor: &'a str,
    pub(crate) baseline: &'a Baseline,
    pub(crate) limits: &'a Limits,
    /// How long what has to pass may go on once the load has ended.
    pub(crate) patience: Duration,
}

/// What `sql` counts, once that is nothing or `patience` is over.
fn left_of(rig: &Rig, sql: &str, patience: Duration) -> Result<u64> {
    let mut left = rig.number(sql)?;
    wait(patience, || {
        left = if left == 0 { 0 } else { rig.number(sql).unwrap_or(left) };
        left == 0
    })?;
    Ok(left)
}

/// All of them.
pub(crate) fn judge(rig: &mut Rig, facts: &Facts, circumstances: &Circumstances<'_>) -> Result<Judgement> {
    let mut judgement = Judgement::default();
    commands::judge(facts, &mut judgement);
    store::judge(rig, circumstances, &mut judgement)?;
    streams::judge(facts, &mut judgement);
    live::judge(facts, circumstances.run, &mut judgement);
    hygiene::judge(rig, circumstances, &mut judgement)?;
    Ok(judgement)
}
