//! A small, honest decision: runs commands through `domain::decide` and `domain::advance` and says what must be stored.
//! What a real service does beyond that (retries, dead letters, answers to repeats) does not live here.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::{Campaign, CampaignKey, Command, CommandId, Definition, Event, Firing, Policy, Step, TimerId, Timestamp};
use ports::PortError;
use ports::journal::{CampaignStep, Entry};
use ports::store::{
    CampaignWrite, Changes, CommandKey, Decision, InboxEntry, Outcome, Receipt, Scope, Store, TimerWrite, View,
};

use crate::fixtures::{fact_of, new_id};

/// A command for a campaign.
#[derive(Debug, Clone)]
pub struct Order {
    /// Which campaign.
    pub key: CampaignKey,
    /// What to do.
    pub command: Command,
    /// By which name it is remembered, if at all.
    pub id: Option<CommandId>,
}

impl Order {
    /// An order that nobody remembers.
    pub fn new(key: &CampaignKey, command: Command) -> Self {
        Self { key: key.clone(), command, id: None }
    }

    /// Create a campaign.
    pub fn create(key: &CampaignKey, definition: Definition) -> Self {
        Self::new(key, Command::Create { definition })
    }

    /// Count engagements.
    pub fn engage(key: &CampaignKey, total: u64) -> Self {
        Self::new(key, Command::RecordEngagements { total })
    }

    /// The same order, remembered by `id`.
    pub fn named(self, id: CommandId) -> Self {
        Self { id: Some(id), ..self }
    }

    fn command_key(&self) -> Option<CommandKey> {
        self.id.clone().map(|id| CommandKey { tenant: self.key.tenant.clone(), sender: "call".to_owned(), id })
    }
}

/// Carries out its orders, one after the other, in one commit.
#[derive(Debug, Clone)]
pub struct Orders(pub Vec<Order>);

impl Orders {
    /// The scope that they need.
    pub fn scope(&self) -> Scope {
        let keys: BTreeSet<CampaignKey> = self.0.iter().map(|order| order.key.clone()).collect();
        let commands = self.0.iter().filter_map(Order::command_key).collect();
        Scope::Campaigns { keys: keys.into_iter().collect(), commands }
    }
}

impl Decision for Orders {
    fn decide(&self, view: &View) -> Changes {
        carry_out(view, &self.0)
    }
}

/// Fires every due timer.
#[derive(Debug, Clone, Copy)]
pub struct FireDue;

impl Decision for FireDue {
    fn decide(&self, view: &View) -> Changes {
        let fire = |id| Command::FireTimer { id, by: Firing::Clock };
        let orders: Vec<Order> = view.due.iter().map(|due| Order::new(&due.key, fire(due.timer.id))).collect();
        carry_out(view, &orders)
    }
}

/// Carries out `orders` in one commit.
pub async fn run(store: &Arc<dyn Store>, orders: Vec<Order>) -> Result<Receipt, PortError> {
    let orders = Orders(orders);
    store.transact(orders.scope(), Arc::new(orders)).await
}

/// Creates a campaign and answers how it was stored.
pub async fn create(store: &Arc<dyn Store>, key: &CampaignKey, definition: Definition) -> Campaign {
    run(store, vec![Order::create(key, definition)]).await.expect("a new campaign is stored");
    crate::fixtures::stored(store, key).await.expect("it is there")
}

/// What must be stored when `orders` are carried out on `view`.
pub fn carry_out(view: &View, orders: &[Order]) -> Changes {
    let mut changes = Changes::default();
    for order in orders {
        let written = changes.campaigns.iter().position(|write| write.campaign.key == order.key);
        let before = match written {
            Some(at) => Some(&changes.campaigns[at].campaign),
            None => view.campaigns.get(&order.key),
        }
        .cloned();
        let version = before.as_ref().map_or(0, |campaign| campaign.version);
        let outcome = match domain::decide(before.as_ref(), &order.command, None, &Policy::default(), view.now) {
            Err(rejection) => {
                let entry = Entry::rejected(order.key.id.clone(), order.command.name(), &rejection);
                push_fact(&mut changes, order, view.now, entry);
                Outcome::Rejected { code: rejection.code().to_owned(), message: rejection.to_string() }
            }
            Ok(events) if events.is_empty() => Outcome::Unchanged { version },
            Ok(events) => {
                let after = take_steps(&mut changes, order, before, events, view.now);
                let version_after = after.version;
                match written {
                    Some(at) => changes.campaigns[at].campaign = after,
                    None => changes.campaigns.push(CampaignWrite { from_version: version, campaign: after }),
                }
                Outcome::Applied { version: version_after }
            }
        };
        if let Some(command) = order.command_key() {
            let entry = InboxEntry { key: order.key.clone(), fingerprint: [7; 32], outcome, at: view.now };
            changes.inbox.push((command, entry));
        }
    }
    changes
}

fn take_steps(
    changes: &mut Changes,
    order: &Order,
    mut state: Option<Campaign>,
    events: Vec<Event>,
    now: Timestamp,
) -> Campaign {
    for event in events {
        let before = state.clone();
        let (after, step) = domain::advance(&order.key, state, event, now, &mut || TimerId(new_id()))
            .expect("what was decided can follow");
        let cancelled = write_timers(changes, before.as_ref(), &after, &step);
        let metadata = match step.event {
            Event::Initialized { .. } | Event::StatusChanged { .. } => Some(after.definition.metadata.clone()),
            _ => None,
        };
        let entry = CampaignStep {
            campaign: order.key.id.clone(),
            owner: after.definition.owner.clone(),
            status: after.status(),
            step,
            cancelled,
            metadata,
        };
        push_fact(changes, order, now, Entry::Step(Box::new(entry)));
        state = Some(after);
    }
    state.expect("there was an event")
}

/// Says what the step does to the timer table; answers the timers that it cancelled.
fn write_timers(changes: &mut Changes, before: Option<&Campaign>, after: &Campaign, step: &Step) -> Vec<domain::Timer> {
    let settled = step.event.settled_timer().map(|timer| timer.id);
    let gone = before.into_iter().flat_map(|b| &b.timers).filter(|timer| after.timer(timer.id).is_none());
    let mut cancelled = Vec::new();
    for timer in gone {
        if settled == Some(timer.id) {
            changes.timers.push(TimerWrite::Complete { id: timer.id, at: step.at });
        } else {
            changes.timers.push(TimerWrite::Cancel { id: timer.id });
            cancelled.push(timer.clone());
        }
    }
    if let Event::TimerHeld { timer } = &step.event {
        changes.timers.push(TimerWrite::Hold { id: timer.id });
    }
    for timer in &step.armed {
        changes.timers.push(TimerWrite::Arm { key: after.key.clone(), timer: timer.clone() });
    }
    cancelled
}

fn push_fact(changes: &mut Changes, order: &Order, now: Timestamp, entry: Entry) {
    let mut fact = fact_of(&order.key.tenant, now, entry);
    fact.cause.command.clone_from(&order.id);
    changes.facts.push(fact);
}
