//! Leases, instances and dead letters.

use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::TenantId;
use ports::PortError;
use ports::dead_letters::{DeadLetters, Letter, LetterFilter, LetterState, NewLetter, Settlement};
use ports::instances::{Instance, Instances, SeenInstance};
use ports::leases::Leases;
use ports::query::{Page, PageRequest};
use uuid::Uuid;

use super::node::{Node, STORE, unknown};
use crate::fault::Fault;
use crate::model::store::Database;

impl Node {
    /// Changes something in the store that is no decision.
    async fn change<T>(&self, call: &'static str, change: impl FnOnce(&mut Database) -> T) -> Result<T, PortError> {
        self.call_store(call, Fault::StoreDown).await?;
        let value = change(&mut self.world.state().db);
        self.gate.leave().await;
        if self.strikes(Fault::CommitUnheard) {
            return Err(unknown(STORE));
        }
        Ok(value)
    }
}

#[async_trait]
impl Leases for Node {
    async fn hold(&self, name: &'static str, holder: &str, lasting: Duration) -> Result<Option<u64>, PortError> {
        let lasting = TimeDelta::from_std(lasting).unwrap_or(TimeDelta::MAX);
        let clock = || self.world.store_clock();
        self.change("hold", |db| db.leases.hold(name, holder, clock(), lasting)).await
    }

    async fn release(&self, name: &'static str, holder: &str) -> Result<(), PortError> {
        let clock = || self.world.store_clock();
        self.change("release", |db| db.leases.release(name, holder, clock())).await
    }
}

#[async_trait]
impl Instances for Node {
    async fn beat(&self, instance: &Instance) -> Result<(), PortError> {
        let clock = || self.world.store_clock();
        self.change("beat", |db| db.present.beat(instance, clock())).await
    }

    async fn leave(&self, id: &str) -> Result<(), PortError> {
        self.change("leave", |db| db.present.leave(id)).await
    }

    async fn alive(&self, within: Duration) -> Result<Vec<SeenInstance>, PortError> {
        let since = self.world.store_clock() - TimeDelta::from_std(within).unwrap_or(TimeDelta::zero());
        self.change("alive", |db| db.present.alive(since)).await
    }
}

#[async_trait]
impl DeadLetters for Node {
    async fn add(&self, letters: Vec<NewLetter>) -> Result<(), PortError> {
        self.change("add letters", |db| letters.into_iter().for_each(|letter| db.letters.add(letter))).await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: &LetterFilter,
        page: &PageRequest,
    ) -> Result<Page<Letter>, PortError> {
        let page = self.change("list letters", |db| db.letters.list(tenant, filter, page)).await?;
        page.ok_or_else(|| PortError::Refused { what: STORE, detail: "that is no cursor of a page".to_owned() })
    }

    async fn get(&self, tenant: &TenantId, id: Uuid) -> Result<Option<Letter>, PortError> {
        self.change("letter", |db| db.letters.get(tenant, id).cloned()).await
    }

    async fn settle(
        &self,
        tenant: &TenantId,
        id: Uuid,
        state: LetterState,
        settlement: Settlement,
    ) -> Result<bool, PortError> {
        self.change("settle letter", |db| db.letters.settle(tenant, id, state, settlement)).await
    }

    async fn open_count(&self) -> Result<u64, PortError> {
        self.change("count letters", |db| db.letters.open() as u64).await
    }
}
