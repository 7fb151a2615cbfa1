//! The shared cache, as the bus keeps it. Whether a process trusts it is that process's business.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{Campaign, CampaignKey};

/// What is kept of a campaign longer than this is forgotten, in microseconds.
const LONGEST_STAY: i64 = 60_000_000;

/// What the cache holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cached {
    epoch: u64,
    entries: BTreeMap<CampaignKey, Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    version: u64,
    campaign: Option<Arc<Campaign>>,
    epoch: u64,
    at: i64,
}

impl Cached {
    pub(crate) fn get(&self, key: &CampaignKey, now: i64) -> Option<Arc<Campaign>> {
        let entry = self.entries.get(key).filter(|entry| entry.epoch == self.epoch && now - entry.at < LONGEST_STAY)?;
        entry.campaign.clone()
    }

    /// Keeps a campaign, or only that its older versions are outdated; never goes back.
    pub(crate) fn put(&mut self, key: &CampaignKey, version: u64, campaign: Option<Arc<Campaign>>, now: i64) {
        let known = self.entries.get(key).filter(|entry| now - entry.at < LONGEST_STAY);
        let old = known.map(|entry| entry.version);
        let is_whole = known.is_some_and(|entry| entry.campaign.is_some() && entry.epoch == self.epoch);
        let newer = old.is_none_or(|old| version > old || (campaign.is_some() && !is_whole && version == old));
        if newer {
            self.put_blindly(key, version, campaign, now);
        }
    }

    /// Keeps it whatever is there.
    pub(crate) fn put_blindly(&mut self, key: &CampaignKey, version: u64, campaign: Option<Arc<Campaign>>, now: i64) {
        self.entries.insert(key.clone(), Entry { version, campaign, epoch: self.epoch, at: now });
    }

    /// Of the oldest campaigns beyond `most` only the version stays.
    pub(crate) fn make_room(&mut self, most: usize) {
        let whole = |entry: &Entry| entry.campaign.is_some();
        let over = self.entries.values().filter(|entry| whole(entry)).count().saturating_sub(most);
        if over > 0 {
            let mut oldest: Vec<_> = self.entries.values_mut().filter(|entry| whole(entry)).collect();
            oldest.sort_by_key(|entry| entry.at);
            oldest.into_iter().take(over).for_each(|entry| entry.campaign = None);
        }
    }

    /// From now on nothing that is there is given.
    pub(crate) fn raise_epoch(&mut self) {
        self.epoch += 1;
    }
}
