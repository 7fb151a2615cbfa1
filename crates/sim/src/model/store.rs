//! The database: tables, what a decision sees of them, and what one commit does to them. It is told what the time is.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use domain::{Campaign, CampaignKey, Status, Timestamp};
use ports::journal::{Fact, Position, Record};
use ports::store::{Changes, CommandKey, DueTimer, InboxEntry, View};

use super::leases::{Leases, Present};
use super::letters::Letters;
use super::timers::Timers;

/// All that a store knows.
#[derive(Debug, Default)]
pub(crate) struct Database {
    campaigns: BTreeMap<CampaignKey, Stored>,
    pub(crate) timers: Timers,
    inbox: HashMap<CommandKey, InboxEntry>,
    pub(crate) letters: Letters,
    pub(crate) leases: Leases,
    pub(crate) present: Present,
    journal: Vec<Arc<Record>>,
    /// Where the records of each campaign are.
    history: BTreeMap<CampaignKey, Vec<usize>>,
    /// Campaigns that a transaction holds.
    held: BTreeSet<CampaignKey>,
    /// Positions that were taken and lost: there are none, but for a planted bug.
    lost_positions: u64,
}

/// A row of the campaign table.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) campaign: Campaign,
    /// Campaigns are numbered as they come.
    pub(crate) number: u64,
    /// Whether it cannot be read.
    pub(crate) spoiled: bool,
}

/// Why a commit does not happen.
#[derive(Debug)]
pub(crate) enum Failure {
    /// This very batch will be refused again.
    Refused(String),
    /// A campaign, or an answer, came after the scope was held: another attempt sees it.
    Taken,
}

/// What a commit came to.
#[derive(Debug, Default)]
pub(crate) struct Committed {
    pub(crate) records: Vec<Arc<Record>>,
    /// The campaigns that were written.
    pub(crate) written: Vec<CampaignKey>,
    /// The earliest timer that was armed.
    pub(crate) armed: Option<Timestamp>,
}

/// In a campaign's metadata: the store refuses to write it at all.
pub(crate) const POISON: &str = "\u{2620}";
/// In a campaign's metadata: the store refuses to write it as RUNNING, while such faults are on.
pub(crate) const CURSE: &str = "curse";

impl Database {
    pub(crate) fn head(&self) -> Position {
        Position(self.journal.last().map_or(0, |record| record.position.0))
    }

    pub(crate) fn campaigns(&self) -> impl Iterator<Item = (&CampaignKey, &Stored)> {
        self.campaigns.iter()
    }

    pub(crate) fn campaign(&self, key: &CampaignKey) -> Option<&Stored> {
        self.campaigns.get(key)
    }

    /// Makes a stored campaign unreadable, or readable again.
    pub(crate) fn spoil(&mut self, key: &CampaignKey, spoiled: bool) {
        if let Some(stored) = self.campaigns.get_mut(key) {
            stored.spoiled = spoiled;
        }
    }

    pub(crate) fn journal(&self) -> &[Arc<Record>] {
        &self.journal
    }

    /// At most `limit` records after `after`.
    pub(crate) fn read(&self, after: Position, limit: usize) -> &[Arc<Record>] {
        let from = self.journal.partition_point(|record| record.position <= after);
        &self.journal[from..self.journal.len().min(from + limit)]
    }

    pub(crate) fn history(&self, key: &CampaignKey) -> impl Iterator<Item = &Arc<Record>> {
        self.history.get(key).into_iter().flatten().map(|at| &self.journal[*at])
    }

    pub(crate) fn answer(&self, command: &CommandKey) -> Option<&InboxEntry> {
        self.inbox.get(command)
    }

    /// Holds campaigns, all or none; answers whether it could.
    pub(crate) fn hold(&mut self, keys: &BTreeSet<CampaignKey>) -> bool {
        let free = keys.iter().all(|key| !self.held.contains(key));
        if free {
            self.held.extend(keys.iter().cloned());
        }
        free
    }

    pub(crate) fn release(&mut self, keys: &BTreeSet<CampaignKey>) {
        for key in keys {
            self.held.remove(key);
        }
    }

    pub(crate) fn is_held(&self, key: &CampaignKey) -> bool {
        self.held.contains(key)
    }

    /// The campaigns of due timers that nobody holds, as many as `limit` timers are of.
    pub(crate) fn due_campaigns(&self, now: Timestamp, limit: usize) -> BTreeSet<CampaignKey> {
        let free = self.timers.due(now).filter(|(_, row)| !self.is_held(&row.key));
        free.take(limit).map(|(_, row)| row.key.clone()).collect()
    }

    /// What a decision sees of these campaigns and commands.
    pub(crate) fn look<'a>(
        &self,
        now: Timestamp,
        keys: impl IntoIterator<Item = &'a CampaignKey>,
        commands: &[CommandKey],
    ) -> View {
        let mut view = View { now, ..View::default() };
        for key in keys {
            match self.campaigns.get(key) {
                Some(stored) if stored.spoiled => {
                    view.unreadable.insert(key.clone(), "the row is spoiled".to_owned());
                }
                Some(stored) => drop(view.campaigns.insert(key.clone(), stored.campaign.clone())),
                None => {}
            }
        }
        let known = commands.iter().filter_map(|command| Some((command.clone(), self.answer(command)?.clone())));
        view.inbox.extend(known);
        view
    }

    /// The due timers of held campaigns.
    pub(crate) fn look_due(&self, now: Timestamp, held: &BTreeSet<CampaignKey>, limit: usize) -> View {
        let mut view = self.look(now, held, &[]);
        let due = self.timers.due(now).filter(|(_, row)| held.contains(&row.key)).take(limit);
        view.due.extend(due.map(|(_, row)| DueTimer {
            key: row.key.clone(),
            timer: row.timer.clone(),
            attempts: row.attempts,
        }));
        view
    }

    /// Commits what was decided on `view`, all of it or nothing. `cursed`: some writes are refused.
    pub(crate) fn commit(&mut self, view: &View, changes: Changes, cursed: bool) -> Result<Committed, Failure> {
        for write in &changes.campaigns {
            self.check_write(view, write.from_version, &write.campaign, cursed)?;
        }
        let mut answered = BTreeSet::new();
        for (command, _) in &changes.inbox {
            let is_twice = !answered.insert((&command.tenant, &command.sender, &command.id));
            if is_twice || view.inbox.contains_key(command) {
                return Err(Failure::Refused(format!("command {} is answered already", command.id)));
            }
            if self.inbox.contains_key(command) {
                return Err(Failure::Taken);
            }
        }
        let new: BTreeSet<&CampaignKey> = changes.campaigns.iter().map(|write| &write.campaign.key).collect();
        let campaigns = &self.campaigns;
        let is_known = |key: &CampaignKey| campaigns.contains_key(key) || new.contains(key);
        self.timers.write(&changes.timers, is_known).map_err(Failure::Refused)?;
        Ok(self.write(changes))
    }

    fn check_write(&self, view: &View, from: u64, campaign: &Campaign, cursed: bool) -> Result<(), Failure> {
        let key = &campaign.key;
        let metadata = campaign.definition.metadata.as_str();
        if metadata.contains(POISON) || (cursed && metadata.contains(CURSE) && campaign.status() == Status::Running) {
            return Err(Failure::Refused(format!("{key} cannot be written")));
        }
        let there = self.campaigns.get(key).map_or(0, |stored| stored.campaign.version);
        let seen = view.campaigns.get(key).map_or(0, |campaign| campaign.version);
        match there == from {
            true => Ok(()),
            // It came since: nothing can be held that does not exist.
            false if from == 0 && seen == 0 && !view.unreadable.contains_key(key) => Err(Failure::Taken),
            false => Err(Failure::Refused(format!("{key} is at version {there}, not {from}"))),
        }
    }

    /// Writes what was checked.
    fn write(&mut self, changes: Changes) -> Committed {
        let mut committed = Committed::default();
        for write in changes.campaigns {
            let key = write.campaign.key.clone();
            let number = self.campaigns.get(&key).map_or(self.campaigns.len() as u64 + 1, |stored| stored.number);
            self.campaigns.insert(key.clone(), Stored { campaign: write.campaign, number, spoiled: false });
            committed.written.push(key);
        }
        let armed = changes.timers.iter().filter_map(|write| match write {
            ports::store::TimerWrite::Arm { timer, .. } => Some(timer.due),
            ports::store::TimerWrite::Retry { at, .. } => Some(*at),
            _ => None,
        });
        committed.armed = armed.min();
        self.inbox.extend(changes.inbox);
        for letter in changes.letters {
            self.letters.add(letter);
        }
        committed.records = self.append(changes.facts);
        committed
    }

    fn append(&mut self, facts: Vec<Fact>) -> Vec<Arc<Record>> {
        let mut records = Vec::with_capacity(facts.len());
        for fact in facts {
            let position = Position(self.journal.len() as u64 + self.lost_positions + 1);
            let record = Arc::new(Record { position, fact });
            if let Some(id) = record.fact.entry.campaign() {
                let key = CampaignKey { tenant: record.fact.tenant.clone(), id: id.clone() };
                self.history.entry(key).or_default().push(self.journal.len());
            }
            self.journal.push(Arc::clone(&record));
            records.push(record);
        }
        records
    }

    /// Writes timers alone, and answers as if all had gone well: what a planted bug does.
    pub(crate) fn write_timers(&mut self, writes: &[ports::store::TimerWrite]) {
        let _ = self.timers.write(writes, |_| true);
    }

    /// Loses positions: what a planted bug does.
    pub(crate) fn lose_positions(&mut self, count: u64) {
        self.lost_positions += count;
    }

    /// Answers how many were older than `before`.
    pub(crate) fn forget_commands(&mut self, before: Timestamp) -> u64 {
        let known = self.inbox.len();
        self.inbox.retain(|_, entry| entry.at >= before);
        (known - self.inbox.len()) as u64
    }

    /// Forgets one answer: what a planted bug does.
    pub(crate) fn forget_answer(&mut self, command: &CommandKey) {
        self.inbox.remove(command);
    }
}
