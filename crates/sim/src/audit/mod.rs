//! Who watches that every promise is kept: after every commit what the journal says, and what clients were told and shown.
//! The auditor knows nothing but what was committed, told and shown; it never asks the service.

pub(crate) mod end;
mod log;
mod readers;
mod requests;
mod viewers;

use std::collections::{BTreeMap, BTreeSet};

use domain::{Campaign, CampaignKey, TimerId};
use ports::journal::{Entry, Fact, Position, Record};
use ports::store::CommandKey;

use crate::plan::{Lines, Plan};

pub(crate) use readers::Reader;
pub(crate) use requests::{OpId, Told};
pub(crate) use viewers::{Snapshot, Viewer};

/// One run in so many also checks how everything is written down.
pub(crate) const FORMS_EVERY: u64 = 8;

/// The auditor.
#[derive(Debug)]
pub(crate) struct Audit {
    broken: Option<String>,
    is_all_calm: bool,
    keeps_order: bool,
    /// The last position.
    head: u64,
    /// What the log folds to so far.
    folded: BTreeMap<CampaignKey, Campaign>,
    /// Timers that fired or were skipped.
    settled: BTreeSet<TimerId>,
    /// Decisions by command: tenant, sender and id.
    decided: BTreeMap<(String, String, String), u64>,
    /// The last event of each producer that took effect on each campaign.
    order: BTreeMap<(CampaignKey, String), u64>,
    /// The versions that the world has heard of.
    heard: BTreeMap<CampaignKey, u64>,
    ops: Vec<requests::Op>,
    pub(crate) readers: Vec<Reader>,
    pub(crate) viewers: Vec<Viewer>,
    /// The last position that anybody was told of.
    pub(crate) latest: Position,
    /// What bounds how far back hubs reach.
    lines: Lines,
    /// Whether the words of every frame are compared, too.
    reads_words: bool,
    /// The highest term in which entries were handed out.
    pub(crate) term: u64,
    /// What a planted bug shows too early.
    pub(crate) uncommitted: Vec<Fact>,
    pub(crate) counts: Counts,
}

/// How much happened, so that a run in which nothing happened is noticed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Commands that took effect.
    pub applied: u64,
    /// Timers that fired or were skipped.
    pub fired: u64,
    /// Records that were shown to live clients and readers.
    pub shown: u64,
    /// Questions that were answered.
    pub reads: u64,
    /// Instances that died.
    pub deaths: u64,
}

impl Audit {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            broken: None,
            is_all_calm: plan.rates.on().is_empty(),
            keeps_order: plan.keeps_order(),
            head: 0,
            folded: BTreeMap::new(),
            settled: BTreeSet::new(),
            decided: BTreeMap::new(),
            order: BTreeMap::new(),
            heard: BTreeMap::new(),
            ops: Vec::new(),
            readers: Vec::new(),
            viewers: Vec::new(),
            latest: Position::START,
            lines: plan.lines,
            reads_words: plan.seed.is_multiple_of(FORMS_EVERY),
            term: 0,
            uncommitted: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// A promise was broken. Only the first one counts: others may follow from it.
    pub(crate) fn breaks(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    pub(crate) fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }
}

/// The campaign that a record is about.
pub(crate) fn campaign_of(record: &Record) -> Option<CampaignKey> {
    let id = record.fact.entry.campaign()?.clone();
    Some(CampaignKey { tenant: record.fact.tenant.clone(), id })
}

/// The command that a record follows from.
fn command_of(record: &Record) -> Option<CommandKey> {
    let id = record.fact.cause.command.clone()?;
    Some(CommandKey { tenant: record.fact.tenant.clone(), sender: record.fact.actor.sender(), id })
}

/// A record in a line.
pub(crate) fn shown(record: &Record) -> String {
    let fact = &record.fact;
    let by = fact.cause.correlation.as_deref().unwrap_or(fact.actor.kind.as_str());
    match &fact.entry {
        Entry::Step(step) => {
            let campaign = &step.campaign;
            let event = format!("{:?}", step.step.event);
            let event = event.split([' ', '{']).next().unwrap_or_default().to_owned();
            format!("{campaign} step {} {event}, now {:?} ({by})", step.step.sequence, step.status)
        }
        Entry::Rejected { campaign, command, code, .. } => format!("{campaign} refuses {command}: {code} ({by})"),
        Entry::TimerFailed { campaign, timer, .. } => format!("{campaign} gives up {}", timer.kind.as_str()),
        Entry::Notice { name, .. } => format!("notice {name}"),
    }
}
