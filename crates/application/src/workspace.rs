//! The working set of one decision: campaigns as they change item by item, and everything the commit must write.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use domain::{Campaign, CampaignKey, Command, Event, Policy, Rejection, TimerId, Timestamp, advance, decide};
use ports::clock::Ids;
use ports::journal::{Actor, CampaignStep, Cause, Entry, Fact};
use ports::store::{CampaignWrite, Changes, TimerWrite, View};

/// What one command did to the working set.
pub(crate) enum Effect {
    /// The campaign is now at this version.
    Applied(u64),
    /// It was as asked for already.
    Unchanged(u64),
    /// It was refused.
    Rejected(Rejection),
    /// It could not be decided: the stored state is broken, or the decision itself is.
    Failed(String),
}

struct Working {
    from_version: u64,
    campaign: Campaign,
}

/// Campaigns as they change, and what must be written.
pub(crate) struct Workspace<'a> {
    view: &'a View,
    ids: &'a dyn Ids,
    changed: HashMap<CampaignKey, Working>,
    order: Vec<CampaignKey>,
    pub(crate) changes: Changes,
}

impl<'a> Workspace<'a> {
    pub(crate) fn new(view: &'a View, ids: &'a dyn Ids) -> Self {
        Self { view, ids, changed: HashMap::new(), order: Vec::new(), changes: Changes::default() }
    }

    /// The campaign as it is after the items so far.
    pub(crate) fn campaign(&self, key: &CampaignKey) -> Option<&Campaign> {
        self.changed.get(key).map(|w| &w.campaign).or_else(|| self.view.campaigns.get(key))
    }

    /// Decides one command and takes its effect into the working set. A decision that fails takes nothing.
    pub(crate) fn handle(
        &mut self,
        key: &CampaignKey,
        command: &Command,
        expected_version: Option<u64>,
        policy: &Policy,
        actor: &Actor,
        cause: &Cause,
    ) -> Effect {
        if let Some(reason) = self.view.unreadable.get(key) {
            return Effect::Failed(format!("the stored campaign cannot be read: {reason}"));
        }
        let now = self.view.now;
        // One broken item must not take its batch along, whatever is wrong with it.
        let decided =
            catch_unwind(AssertUnwindSafe(|| decide(self.campaign(key), command, expected_version, policy, now)));
        match decided {
            Err(_) => Effect::Failed(format!("deciding {} panicked", command.name())),
            Ok(Err(rejection)) => Effect::Rejected(rejection),
            Ok(Ok(events)) if events.is_empty() => Effect::Unchanged(self.campaign(key).map_or(0, |c| c.version)),
            Ok(Ok(events)) => match self.take(key, events, actor, cause) {
                Ok(version) => Effect::Applied(version),
                Err(error) => Effect::Failed(error),
            },
        }
    }

    fn take(&mut self, key: &CampaignKey, events: Vec<Event>, actor: &Actor, cause: &Cause) -> Result<u64, String> {
        let now = self.view.now;
        let before = self.campaign(key).cloned();
        let from_version = match self.changed.get(key) {
            Some(working) => working.from_version,
            None => before.as_ref().map_or(0, |c| c.version),
        };
        let mut state = before;
        let mut facts = Vec::with_capacity(events.len());
        let mut timers = Vec::new();
        for event in events {
            let earlier = state.as_ref().map(|c| c.timers.clone()).unwrap_or_default();
            let (after, step) = advance(key, state.take(), event, now, &mut || TimerId(self.ids.next()))
                .map_err(|error| error.to_string())?;
            let settled = step.event.settled_timer().map(|t| t.id);
            let cancelled: Vec<_> =
                earlier.into_iter().filter(|t| Some(t.id) != settled && after.timer(t.id).is_none()).collect();
            timers.extend(settled.map(|id| TimerWrite::Complete { id, at: now }));
            timers.extend(cancelled.iter().map(|t| TimerWrite::Cancel { id: t.id }));
            if let Event::TimerHeld { timer } = &step.event {
                timers.push(TimerWrite::Hold { id: timer.id });
            }
            timers.extend(step.armed.iter().map(|t| TimerWrite::Arm { key: key.clone(), timer: t.clone() }));
            let is_transition = matches!(step.event, Event::Initialized { .. } | Event::StatusChanged { .. });
            facts.push(Fact {
                id: self.ids.next(),
                at: now,
                tenant: key.tenant.clone(),
                actor: actor.clone(),
                cause: cause.clone(),
                entry: Entry::Step(Box::new(CampaignStep {
                    campaign: key.id.clone(),
                    owner: after.definition.owner.clone(),
                    status: after.status(),
                    step,
                    cancelled,
                    metadata: is_transition.then(|| after.definition.metadata.clone()),
                })),
            });
            state = Some(after);
        }
        let Some(campaign) = state else { return Err("no event, no campaign".to_owned()) };
        let version = campaign.version;
        self.changes.facts.append(&mut facts);
        self.changes.timers.append(&mut timers);
        if self.changed.insert(key.clone(), Working { from_version, campaign }).is_none() {
            self.order.push(key.clone());
        }
        Ok(version)
    }

    /// Adds a fact that is no step of a campaign.
    pub(crate) fn note(&mut self, key: &CampaignKey, actor: &Actor, cause: &Cause, entry: Entry) {
        self.changes.facts.push(Fact {
            id: self.ids.next(),
            at: self.view.now,
            tenant: key.tenant.clone(),
            actor: actor.clone(),
            cause: cause.clone(),
            entry,
        });
    }

    /// The store's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.view.now
    }

    /// Everything that the commit must write.
    pub(crate) fn finish(mut self) -> Changes {
        for key in self.order {
            if let Some(Working { from_version, campaign }) = self.changed.remove(&key) {
                self.changes.campaigns.push(CampaignWrite { from_version, campaign });
            }
        }
        self.changes
    }
}
