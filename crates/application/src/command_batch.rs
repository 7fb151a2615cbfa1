//! The decision over a batch of commands from outside.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::{Campaign, Rejection};
use ports::PortError;
use ports::clock::Ids;
use ports::journal::{Cause, Entry};
use ports::store::{Changes, CommandKey, Decision, InboxEntry, Outcome, Scope, View};

use crate::Policies;
use crate::commands::{CommandRequest, SubmitError};
use crate::workspace::{Effect, Workspace};

/// What one command of the batch came to. It holds only once the batch is committed.
#[derive(Debug, Clone)]
pub(crate) enum Verdict {
    /// Decided now.
    Decided { outcome: Outcome, campaign: Option<Arc<Campaign>> },
    /// Decided before; this was the outcome.
    Remembered(InboxEntry),
}

/// A verdict, or why there is none.
pub(crate) type Decided = Result<Verdict, SubmitError>;

/// The decision over a batch.
pub(crate) struct CommandBatch {
    requests: Vec<CommandRequest>,
    policies: Arc<Policies>,
    ids: Arc<dyn Ids>,
    verdicts: Mutex<Vec<Decided>>,
}

impl CommandBatch {
    pub(crate) fn new(requests: Vec<CommandRequest>, policies: Arc<Policies>, ids: Arc<dyn Ids>) -> Self {
        Self { requests, policies, ids, verdicts: Mutex::new(Vec::new()) }
    }

    pub(crate) fn scope(&self) -> Scope {
        Scope::Campaigns {
            keys: self.requests.iter().map(|r| r.key.clone()).collect(),
            commands: self.requests.iter().filter(|r| r.remember).map(command_key).collect(),
        }
    }

    /// The verdicts of the last run, one per request, in order.
    pub(crate) fn verdicts(&self) -> Vec<Decided> {
        std::mem::take(&mut *self.verdicts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn decide_one(
        &self,
        work: &mut Workspace<'_>,
        answered: &mut HashMap<CommandKey, InboxEntry>,
        request: &CommandRequest,
        view: &View,
    ) -> Decided {
        let command_key = command_key(request);
        if let Some(entry) = answered.get(&command_key).or_else(|| view.inbox.get(&command_key)) {
            return if entry.fingerprint == request.fingerprint && entry.key == request.key {
                Ok(Verdict::Remembered(entry.clone()))
            } else {
                Err(SubmitError::KeyReused)
            };
        }
        if view.busy.contains(&request.key) {
            return Err(PortError::Contended { what: "the campaign" }.into());
        }
        let cause = Cause { command: Some(request.id.clone()), correlation: request.correlation.clone() };
        let policy = self.policies.of(&request.key.tenant);
        let effect =
            work.handle(&request.key, &request.command, request.expected_version, &policy, &request.actor, &cause);
        let outcome = match effect {
            Effect::Applied(version) => Outcome::Applied { version },
            Effect::Unchanged(version) => Outcome::Unchanged { version },
            Effect::Rejected(rejection) => {
                let outcome = Outcome::Rejected { code: rejection.code().to_owned(), message: rejection.to_string() };
                // A campaign that is not known may become so: nothing is recorded, and the command may come again.
                if rejection == Rejection::UnknownCampaign {
                    return Ok(Verdict::Decided { outcome, campaign: None });
                }
                let entry = Entry::rejected(request.key.id.clone(), request.command.name(), &rejection);
                work.note(&request.key, &request.actor, &cause, entry);
                outcome
            }
            Effect::Failed(error) => return Err(SubmitError::Poison(error)),
        };
        if request.remember {
            let entry = InboxEntry {
                key: request.key.clone(),
                fingerprint: request.fingerprint,
                outcome: outcome.clone(),
                at: work.now(),
            };
            answered.insert(command_key.clone(), entry.clone());
            work.changes.inbox.push((command_key, entry));
        }
        let campaign = work.campaign(&request.key).cloned().map(Arc::new);
        Ok(Verdict::Decided { outcome, campaign })
    }
}

fn command_key(request: &CommandRequest) -> CommandKey {
    CommandKey { tenant: request.key.tenant.clone(), sender: request.actor.sender(), id: request.id.clone() }
}

impl Decision for CommandBatch {
    fn decide(&self, view: &View) -> Changes {
        let mut work = Workspace::new(view, self.ids.as_ref());
        let mut answered = HashMap::new();
        let verdicts =
            self.requests.iter().map(|request| self.decide_one(&mut work, &mut answered, request, view)).collect();
        *self.verdicts.lock().unwrap_or_else(PoisonError::into_inner) = verdicts;
        work.finish()
    }
}
