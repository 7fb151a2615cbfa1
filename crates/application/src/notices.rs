//! Facts that are no step of a campaign: what operators and the service itself did.

use std::sync::Arc;

use domain::{JsonText, TenantId};
use ports::PortError;
use ports::clock::Ids;
use ports::journal::{Actor, Cause, Entry, Fact};
use ports::store::{Changes, Decision, Scope, Store, View};

struct Notice {
    tenant: TenantId,
    actor: Actor,
    ids: Arc<dyn Ids>,
    entry: Entry,
}

impl Decision for Notice {
    fn decide(&self, view: &View) -> Changes {
        let fact = Fact {
            id: self.ids.next(),
            at: view.now,
            tenant: self.tenant.clone(),
            actor: self.actor.clone(),
            cause: Cause::default(),
            entry: self.entry.clone(),
        };
        Changes { facts: vec![fact], ..Changes::default() }
    }
}

/// Writes notices to the journal.
#[derive(Clone)]
pub struct Notices {
    store: Arc<dyn Store>,
    ids: Arc<dyn Ids>,
}

impl Notices {
    /// A writer of notices.
    pub fn new(store: Arc<dyn Store>, ids: Arc<dyn Ids>) -> Self {
        Self { store, ids }
    }

    /// Writes one: `name` is `area.verb`, `detail` a JSON object.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub async fn write(
        &self,
        tenant: TenantId,
        actor: Actor,
        name: &str,
        subject: &str,
        detail: JsonText,
    ) -> Result<(), PortError> {
        let entry = Entry::Notice { name: name.to_owned(), campaign: None, subject: subject.to_owned(), detail };
        let decision = Notice { tenant, actor, ids: Arc::clone(&self.ids), entry };
        let scope = Scope::Campaigns { keys: Vec::new(), commands: Vec::new() };
        self.store.transact(scope, Arc::new(decision)).await.map(|_| ())
    }
}
