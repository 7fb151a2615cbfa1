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

use anyhow::Result;
use serde::Serialize;

use crate::faults::Limits;
use crate::rig::Rig;

/// Something that does not hold.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Finding {
    /// `O1` to `O10`, or `extra` for what a fault itself asks for.
    pub(crate) oracle: &'static str,
    pub(crate) text: String,
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
            self.findings.push(Finding { oracle, text: format!("{}: {what}: {named}", bad.len()) });
        }
    }

    fn check(&mut self, oracle: &'static str, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            self.findings.push(Finding { oracle, text: text() });
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
