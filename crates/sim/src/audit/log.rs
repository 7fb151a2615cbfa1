//! What must hold after every commit: INV-1 to INV-5, INV-7 and INV-8, positions, order.

use std::collections::BTreeSet;

use domain::invariants::{Invariant, check_campaign, check_command, check_positions};
use domain::{CampaignKey, Event, Firing, Step, Timestamp, Trigger, evolve};
use ports::journal::{ActorKind, Entry, Record};
use ports::query::TimerState;

use super::{Audit, campaign_of, command_of};
use crate::model::store::{Committed, Database};

/// A timer that fires later than this, in milliseconds, where nothing goes wrong, is late.
const LATE_MS: i64 = 1_000;

impl Audit {
    /// Something was committed; `clock` is the store's.
    pub(crate) fn committed(&mut self, db: &Database, committed: &Committed, clock: Timestamp) {
        let mut decided = BTreeSet::new();
        for record in &committed.records {
            if let Some(violation) = check_positions(self.head, record.position.0) {
                self.breaks(violation.to_string());
            }
            self.head = record.position.0;
            if let Some(command) = command_of(record) {
                let key = (command.tenant.to_string(), command.sender, command.id.to_string());
                if decided.insert(key.clone()) {
                    let decisions = self.decided.entry(key).or_default();
                    *decisions += 1;
                    if let Some(violation) = check_command(command.id.as_str(), *decisions) {
                        self.breaks(violation.to_string());
                    }
                }
            }
            if let (Entry::Step(step), Some(key)) = (&record.fact.entry, campaign_of(record)) {
                self.step(&key, &step.step, record, clock);
            }
            self.took_effect(record);
        }
        for key in &committed.written {
            self.check_written(db, key);
        }
        // A commit that writes no campaign may still touch its timers.
        let touched: BTreeSet<_> = committed.records.iter().filter_map(|record| campaign_of(record)).collect();
        for key in touched.iter().filter(|key| !committed.written.contains(key)) {
            self.check_timers(db, key);
        }
    }

    fn step(&mut self, key: &CampaignKey, step: &Step, record: &Record, clock: Timestamp) {
        match evolve(key, self.folded.remove(key), step) {
            Ok(campaign) => drop(self.folded.insert(key.clone(), campaign)),
            Err(error) => self.breaks(format!("INV-2/INV-5 campaign {key}: {error}")),
        }
        if let Some(timer) = step.event.settled_timer() {
            self.counts.fired += 1;
            if !self.settled.insert(timer.id) {
                self.breaks(format!("campaign {key}: timer {} fired twice", timer.id));
            }
            let by_operator = matches!(
                &step.event,
                Event::StatusChanged { trigger: Trigger::Operator, .. }
                    | Event::ReminderFired { by: Firing::Operator, .. }
            ) || record.fact.actor.kind != ActorKind::Timer;
            if !by_operator && (step.at < timer.due || clock < timer.due) {
                let (kind, due) = (timer.kind.as_str(), timer.due);
                self.breaks(format!("INV-8 campaign {key}: {kind} was due at {due} and fired at {clock}"));
            }
            let late = (clock - timer.due).num_milliseconds();
            if self.is_all_calm && !by_operator && late > LATE_MS {
                self.breaks(format!(
                    "campaign {key}: {} fired {late} ms late, and nothing is wrong",
                    timer.kind.as_str()
                ));
            }
        }
        if let Event::Updated { metadata: Some(metadata), .. } = &step.event
            && record.fact.actor.kind == ActorKind::Producer
            && let Some(number) = crate::clients::number_in(metadata.as_str())
        {
            let place = (key.clone(), record.fact.actor.subject.clone());
            let before = self.order.insert(place, number).unwrap_or(0);
            if self.keeps_order && number <= before {
                self.breaks(format!("campaign {key}: event {number} took effect after event {before}"));
            }
        }
    }

    /// INV-1: what is stored is what the log folds to.
    fn check_written(&mut self, db: &Database, key: &CampaignKey) {
        let stored = db.campaign(key).map(|stored| &stored.campaign);
        if stored != self.folded.get(key) {
            let id = Invariant::StateIsFold.id();
            self.breaks(format!("{id} campaign {key}: the stored state is not the fold of its log"));
        }
        self.check_timers(db, key);
    }

    /// INV-3 and INV-4.
    fn check_timers(&mut self, db: &Database, key: &CampaignKey) {
        let Some(stored) = db.campaign(key) else { return };
        let (pending, failed) = timers_of(db, key);
        // Without a log nothing is said about the log.
        let found = check_campaign(&stored.campaign, &[], &pending, &failed);
        let about_timers = |invariant| matches!(invariant, Invariant::TimersArePlan | Invariant::TerminalHasNone);
        if let Some(violation) = found.into_iter().find(|violation| about_timers(violation.invariant)) {
            self.breaks(violation.to_string());
        }
    }

    /// All that can be checked of one campaign, by the functions that `lifecycle verify` uses.
    pub(super) fn check_whole(&mut self, db: &Database, key: &CampaignKey) {
        let Some(stored) = db.campaign(key) else { return };
        let steps = db.history(key).filter_map(|record| match &record.fact.entry {
            Entry::Step(step) => Some(step.step.clone()),
            _ => None,
        });
        let log: Vec<Step> = steps.collect();
        let (pending, failed) = timers_of(db, key);
        for violation in check_campaign(&stored.campaign, &log, &pending, &failed) {
            self.breaks(violation.to_string());
        }
    }
}

fn timers_of(db: &Database, key: &CampaignKey) -> (Vec<domain::Timer>, Vec<domain::TimerId>) {
    let of = |state: TimerState| db.timers.of(key).filter(move |row| row.state == state);
    (
        of(TimerState::Pending).map(|row| row.timer.clone()).collect(),
        of(TimerState::Failed).map(|row| row.timer.id).collect(),
    )
}
