//! The write side and the outbox. A transaction holds its campaigns while the decision is made; its end may be unheard.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use domain::{CampaignKey, Timestamp};
use ports::PortError;
use ports::clock::Clock;
use ports::feed::Outbox;
use ports::journal::{Position, Record};
use ports::store::{Changes, Decision, Receipt, Scope, Store, View};
use ports::wakeups::{Hint, Wakeups};
use tokio::time::Instant;

use super::node::{Node, STORE, unavailable, unknown};
use crate::fault::Fault;
use crate::model::store::{Committed, Failure};
use crate::sabotage::Sabotage;
use crate::world::World;

/// How often a decision runs when something that did not exist came meanwhile.
const ATTEMPTS: usize = 3;
/// How long a transaction waits for campaigns that another one holds.
const LOCK_LIMIT: Duration = Duration::from_millis(500);

/// Campaigns that a transaction holds. Dropped with it, whatever became of it.
struct Hold {
    world: Arc<World>,
    keys: BTreeSet<CampaignKey>,
    /// Campaigns of the scope that others hold, and that are done without.
    busy: BTreeSet<CampaignKey>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.world.state().db.release(&self.keys);
        self.world.released.notify_waiters();
    }
}

/// How an attempt ended without success.
enum Ended {
    Taken,
    Failed(PortError),
}

impl From<PortError> for Ended {
    fn from(error: PortError) -> Self {
        Self::Failed(error)
    }
}

impl Node {
    async fn attempt(&self, scope: &Scope, decision: &dyn Decision) -> Result<Receipt, Ended> {
        let hold = self.hold(scope).await;
        let view = self.look(scope, &hold);
        let due = view.due.len();
        let mut changes = decision.decide(&view);
        self.spoil_changes(&view, &mut changes);
        let answer = self.end(hold, view, changes).await;
        if let Err(Ended::Failed(error)) = &answer
            && self.world.has(Sabotage::SwallowedError)
            && !matches!(error, PortError::Refused { .. })
        {
            return Ok(Receipt { now: self.world.store_clock(), first_position: None, due, next_due: None });
        }
        answer
    }

    /// Holds what the scope names: waits for campaigns, but not for ever, and leaves due timers to whoever holds theirs.
    async fn hold(&self, scope: &Scope) -> Hold {
        let limit = Instant::now() + LOCK_LIMIT;
        // Who waited for a campaign in vain passes it by the next time.
        let mut passes = self.strikes(Fault::StoreContended);
        loop {
            let released = self.world.released.notified();
            {
                let now = self.store_now();
                let db = &mut self.world.state().db;
                let keys = match scope {
                    Scope::Campaigns { .. } if self.world.has(Sabotage::LostUpdate) => BTreeSet::new(),
                    // What does not exist cannot be held.
                    Scope::Campaigns { keys, .. } => {
                        keys.iter().filter(|k| db.campaign(k).is_some()).cloned().collect()
                    }
                    Scope::Due { limit } => db.due_campaigns(now, *limit),
                };
                if self.world.has(Sabotage::ForgottenTimer) && matches!(scope, Scope::Due { .. }) {
                    let held = db.timers.due(now).filter(|(_, row)| db.is_held(&row.key));
                    let ids: Vec<_> = held.map(|(_, row)| row.timer.id).collect();
                    for id in ids {
                        db.timers.forget(id);
                    }
                }
                let (busy, keys) =
                    if passes { keys.into_iter().partition(|key| db.is_held(key)) } else { (BTreeSet::new(), keys) };
                if db.hold(&keys) {
                    return Hold { world: Arc::clone(&self.world), keys, busy };
                }
            }
            passes = tokio::time::timeout_at(limit, released).await.is_err();
        }
    }

    /// The store's clock, never behind what it gave before.
    fn store_now(&self) -> Timestamp {
        if self.world.has(Sabotage::InstanceClock) {
            return self.clock.now();
        }
        let committed = self.world.state().db.journal().last().map(|record| record.fact.at);
        let now = committed.map_or(self.world.store_clock(), |at| at.max(self.world.store_clock()));
        let floor = self.last_now.fetch_max(now.timestamp_micros(), Ordering::AcqRel);
        Timestamp::from_timestamp_micros(floor).map_or(now, |floor| now.max(floor))
    }

    fn look(&self, scope: &Scope, hold: &Hold) -> View {
        let now = self.store_now();
        let db = &self.world.state().db;
        match scope {
            Scope::Campaigns { keys, commands } => {
                let mut view = db.look(now, keys.iter().filter(|key| !hold.busy.contains(*key)), commands);
                view.busy.extend(hold.busy.iter().cloned());
                if self.world.has(Sabotage::NoInboxCheck) {
                    view.inbox.clear();
                }
                view
            }
            Scope::Due { limit } => db.look_due(now, &hold.keys, *limit),
        }
    }

    /// The end of a transaction: commit, or one of the many other ways.
    async fn end(&self, hold: Hold, view: View, changes: Changes) -> Result<Receipt, Ended> {
        if self.world.has(Sabotage::PublishBeforeCommit) {
            self.world.state().audit.uncommitted.clone_from(&changes.facts);
        }
        let facts = changes.facts.len() as u64;
        let failed = self.fails_before_commit(&hold, &view).await;
        if self.world.has(Sabotage::PublishBeforeCommit) {
            self.world.state().audit.uncommitted.clear();
        }
        if let Some(error) = failed {
            if self.world.has(Sabotage::PositionsFromSequence) {
                self.world.state().db.lose_positions(facts);
            }
            return Err(error.into());
        }
        if self.strikes(Fault::CommitLate) {
            self.commit_later(hold, view, changes);
            return Err(unknown(STORE).into());
        }
        let apart = if self.world.has(Sabotage::TimersApart) { changes.timers.clone() } else { Vec::new() };
        let changes = if apart.is_empty() { changes } else { Changes { timers: Vec::new(), ..changes } };
        let due = view.due.len();
        let committed = match self.world.commit(&view, changes, self.gate.who) {
            Ok(committed) => committed,
            Err(Failure::Refused(detail)) => return Err(PortError::Refused { what: STORE, detail }.into()),
            Err(Failure::Taken) => return Err(Ended::Taken),
        };
        if !apart.is_empty() {
            self.gate.enter("arm timers").await;
            self.world.state().db.write_timers(&apart);
        }
        let next_due = self.world.state().db.timers.next_due();
        drop(hold);
        if self.strikes(Fault::CommitUnheard) {
            return Err(unknown(STORE).into());
        }
        self.announce(&committed);
        let first_position = committed.records.first().map(|record| record.position);
        Ok(Receipt { now: view.now, first_position, due, next_due })
    }

    async fn fails_before_commit(&self, hold: &Hold, view: &View) -> Option<PortError> {
        if self.strikes(Fault::StoreContended) {
            return Some(PortError::Contended { what: STORE });
        }
        if self.strikes(Fault::StoreSlow) {
            self.gate.dawdle(2, 1_200).await;
            // The server ends a transaction that nobody goes on with.
            if self.world.is_store_away() || self.gate.is_frozen() {
                return Some(unavailable(STORE));
            }
        }
        debug_assert!(view.due.iter().all(|due| hold.keys.contains(&due.key)));
        self.strikes(Fault::CommitLost).then(|| unknown(STORE))
    }

    /// Commits after a while, in the server alone: nobody hears of it.
    fn commit_later(&self, hold: Hold, view: View, changes: Changes) {
        let (world, who) = (Arc::clone(&self.world), self.gate.who);
        let after = Duration::from_millis(world.between(1, 900));
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            world.tell("late", [who, 0], || format!("a commit of {who} is done now"));
            let _ = world.commit(&view, changes, who);
            drop(hold);
        });
    }

    fn announce(&self, committed: &Committed) {
        if !committed.records.is_empty() {
            self.wakeups.announce(Hint::Committed);
        }
        if let Some(at) = committed.armed {
            self.wakeups.announce(Hint::TimerArmed(at));
        }
    }

    /// What planted bugs make of a decision.
    fn spoil_changes(&self, view: &View, changes: &mut Changes) {
        let world = &self.world;
        if world.has(Sabotage::NoInboxCheck) {
            changes.inbox.iter().for_each(|(command, _)| world.state().db.forget_answer(command));
        }
        if world.has(Sabotage::LostUpdate) {
            for write in &mut changes.campaigns {
                let there = world.state().db.campaign(&write.campaign.key).map_or(0, |s| s.campaign.version);
                write.from_version = there;
            }
        }
        if world.has(Sabotage::SkippedFold)
            && let Some(write) = changes.campaigns.first_mut().filter(|_| view.now.timestamp_micros() % 7 == 0)
        {
            write.campaign.planned_at = view.now + chrono::TimeDelta::seconds(1);
        }
        if world.has(Sabotage::TimerWithoutGeneration) {
            crate::calls::store::keep_old_dates(view, changes);
        }
    }
}

/// Timers that replace others keep the dates of those.
fn keep_old_dates(view: &View, changes: &mut Changes) {
    for write in &mut changes.timers {
        if let ports::store::TimerWrite::Arm { key, timer } = write {
            let old = view.campaigns.get(key).and_then(|c| c.timers.iter().find(|t| t.kind == timer.kind));
            timer.due = old.map_or(timer.due, |old| old.due);
        }
    }
}

#[async_trait]
impl Store for Node {
    async fn transact(&self, scope: Scope, decision: Arc<dyn Decision>) -> Result<Receipt, PortError> {
        self.call_store("transact", Fault::StoreDown).await?;
        let names_campaigns = matches!(&scope, Scope::Campaigns { keys, .. } if !keys.is_empty());
        let mut attempt = 1;
        let answer = loop {
            match self.attempt(&scope, decision.as_ref()).await {
                Err(Ended::Taken) if attempt < ATTEMPTS => attempt += 1,
                Err(Ended::Taken) if names_campaigns => break Err(PortError::Contended { what: STORE }),
                Err(Ended::Taken) => {
                    break Err(PortError::Refused { what: STORE, detail: "it was answered meanwhile".to_owned() });
                }
                Err(Ended::Failed(error)) => break Err(error),
                Ok(receipt) => break Ok(receipt),
            }
        };
        self.gate.leave().await;
        match answer {
            Err(PortError::Unknown { .. }) if self.world.has(Sabotage::UnknownIsFailure) => Err(unavailable(STORE)),
            answer => answer,
        }
    }

    async fn forget_commands(&self, before: Timestamp) -> Result<u64, PortError> {
        self.call_store("forget", Fault::StoreDown).await?;
        let forgotten = self.world.state().db.forget_commands(before);
        self.gate.leave().await;
        Ok(forgotten)
    }
}

#[async_trait]
impl Outbox for Node {
    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<Record>>, PortError> {
        self.call_store("read", Fault::ReadFails).await?;
        let mut records = self.world.state().db.read(after, limit).to_vec();
        if self.world.has(Sabotage::PublishBeforeCommit) {
            let state = self.world.state();
            let next = state.db.head().0 + 1;
            let early = state.audit.uncommitted.iter().zip(next..);
            records.extend(early.map(|(fact, n)| Arc::new(Record { position: Position(n), fact: fact.clone() })));
        }
        self.gate.leave().await;
        Ok(records)
    }

    async fn begin(&self) -> Result<Position, PortError> {
        self.call_store("begin", Fault::ReadFails).await?;
        self.gate.leave().await;
        Ok(Position::START)
    }
}
