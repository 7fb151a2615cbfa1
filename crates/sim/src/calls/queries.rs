//! The read side.

use async_trait::async_trait;
use domain::{Campaign, CampaignKey, OwnerId, TenantId, TimerId, Timestamp};
use ports::PortError;
use ports::journal::{Position, Record};
use ports::query::{
    CampaignFilter, Dossier, ForecastRow, Page, PageRequest, Queries, StatusCounts, StoreStatus, TimerFilter, TimerRow,
};

use super::node::{Node, STORE};
use crate::fault::Fault;
use crate::model::queries;
use crate::model::store::Database;

impl Node {
    /// Asks the store something, of one moment.
    async fn ask<T>(&self, call: &'static str, look: impl FnOnce(&Database, Timestamp) -> T) -> Result<T, PortError> {
        self.call_store(call, Fault::ReadFails).await?;
        let now = self.world.store_clock();
        let found = look(&self.world.state().db, now);
        self.gate.leave().await;
        Ok(found)
    }
}

fn no_cursor() -> PortError {
    PortError::Refused { what: STORE, detail: "that is not the cursor of a page of this list".to_owned() }
}

fn readable(db: &Database, key: &CampaignKey) -> Result<(), PortError> {
    match db.campaign(key) {
        Some(stored) if stored.spoiled => {
            Err(PortError::Corrupt { what: STORE, detail: format!("{key} cannot be read") })
        }
        _ => Ok(()),
    }
}

#[async_trait]
impl Queries for Node {
    async fn campaign(&self, key: &CampaignKey) -> Result<Option<Campaign>, PortError> {
        self.ask("campaign", |db, _| readable(db, key).map(|()| db.campaign(key).map(|stored| stored.campaign.clone())))
            .await?
    }

    async fn dossier(&self, key: &CampaignKey) -> Result<Option<Dossier>, PortError> {
        self.ask("dossier", |db, _| readable(db, key).map(|()| queries::dossier(db, key))).await?
    }

    async fn campaigns(
        &self,
        tenant: &TenantId,
        filter: &CampaignFilter,
        page: &PageRequest,
    ) -> Result<Page<Campaign>, PortError> {
        let page = self.ask("campaigns", |db, _| queries::campaigns(db, tenant, filter, page)).await?;
        page.ok_or_else(no_cursor)
    }

    async fn history(&self, key: &CampaignKey, after: Position, limit: usize) -> Result<Vec<Record>, PortError> {
        self.ask("history", |db, _| {
            let found = db.history(key).filter(|record| record.position > after).take(limit);
            found.map(|record| (**record).clone()).collect()
        })
        .await
    }

    async fn timer(&self, tenant: &TenantId, id: TimerId) -> Result<Option<TimerRow>, PortError> {
        self.ask("timer", |db, _| db.timers.get(id).filter(|row| row.key.tenant == *tenant).cloned()).await
    }

    async fn timers(
        &self,
        tenant: &TenantId,
        owner: Option<OwnerId>,
        filter: TimerFilter,
        page: &PageRequest,
    ) -> Result<Page<TimerRow>, PortError> {
        let page = self.ask("timers", |db, now| queries::timers(db, now, tenant, owner.as_ref(), filter, page)).await?;
        page.ok_or_else(no_cursor)
    }

    async fn forecast(
        &self,
        tenant: &TenantId,
        from: Timestamp,
        to: Timestamp,
        bucket_seconds: u32,
    ) -> Result<Vec<ForecastRow>, PortError> {
        self.ask("forecast", |db, _| queries::forecast(db, tenant, from, to, bucket_seconds)).await
    }

    async fn counts(&self, tenant: &TenantId, owner: Option<OwnerId>) -> Result<(StatusCounts, Position), PortError> {
        self.ask("counts", |db, _| (queries::counts(db, tenant, owner.as_ref()), db.head())).await
    }

    async fn status(&self) -> Result<StoreStatus, PortError> {
        self.ask("status", queries::status).await
    }
}
