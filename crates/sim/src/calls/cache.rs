//! The shared cache as one process sees it: one that could not write, or lost its connection, trusts nothing until it has
//! emptied it, as the real one does.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{Campaign, CampaignKey};
use ports::PortError;
use ports::cache::Cache;

use super::node::{Node, lock};
use crate::sabotage::Sabotage;

/// The most campaigns that are held.
pub(super) const MOST: usize = 300;

/// Whether a process believes what the cache holds.
#[derive(Debug, Default)]
pub(super) struct Trust {
    /// A write failed since the cache was emptied last.
    failed: bool,
    /// The losses of the connection when it was, and one more; 0 is never.
    at: u64,
}

type Entry = (CampaignKey, u64, Option<Arc<Campaign>>);

impl Node {
    fn trusts(&self) -> bool {
        let losses = self.world.state().bus_losses;
        let trust = lock(&self.trust);
        !trust.failed && trust.at == losses + 1
    }

    async fn write(&self, entries: Vec<Entry>) -> Result<(), PortError> {
        let written = self.try_write(entries).await;
        if written.is_err() {
            lock(&self.trust).failed = true;
        }
        written
    }

    async fn try_write(&self, entries: Vec<Entry>) -> Result<(), PortError> {
        if !self.trusts() {
            let losses = self.world.state().bus_losses;
            self.call_bus("empty cache").await?;
            self.world.state().bus.cache.raise_epoch();
            self.bus_wrote(()).await?;
            let mut trust = lock(&self.trust);
            trust.at = losses + 1;
            trust.failed = false;
        }
        self.call_bus("cache").await?;
        let now = self.world.elapsed();
        let is_blind = self.world.has(Sabotage::CacheGoesBack);
        {
            let cache = &mut self.world.state().bus.cache;
            for (key, version, campaign) in entries {
                if is_blind && campaign.is_some() {
                    cache.put_blindly(&key, version, campaign, now);
                } else {
                    cache.put(&key, version, campaign, now);
                }
            }
            cache.make_room(MOST);
        }
        self.bus_wrote(()).await
    }
}

#[async_trait]
impl Cache for Node {
    async fn get(&self, key: &CampaignKey) -> Option<Arc<Campaign>> {
        if !self.trusts() || self.call_bus("cached").await.is_err() {
            return None;
        }
        let now = self.world.elapsed();
        let found = self.world.state().bus.cache.get(key, now);
        self.gate.leave().await;
        found.filter(|_| self.trusts())
    }

    async fn put(&self, campaigns: Vec<Arc<Campaign>>) {
        if !campaigns.is_empty() {
            let entry = |campaign: Arc<Campaign>| (campaign.key.clone(), campaign.version, Some(campaign));
            let _ = self.write(campaigns.into_iter().map(entry).collect()).await;
        }
    }

    async fn outdated(&self, versions: Vec<(CampaignKey, u64)>) -> Result<(), PortError> {
        if versions.is_empty() {
            return Ok(());
        }
        self.write(versions.into_iter().map(|(key, version)| (key, version, None)).collect()).await
    }
}
