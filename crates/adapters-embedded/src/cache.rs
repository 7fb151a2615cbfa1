//! Campaigns at hand, in memory, bounded by number and by size. Where they are stored does not live here.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::{Campaign, CampaignKey};
use moka::ops::compute::Op;
use ports::cache::Cache;

/// The net below the version guard: whatever slipped in late, behind the back of an eviction, is gone after this long.
const LONGEST_STAY: Duration = Duration::from_mins(1);

/// [`Cache`] in this process.
#[derive(Debug, Clone)]
pub struct LocalCache {
    campaigns: moka::sync::Cache<CampaignKey, Known>,
}

/// What is known of a campaign.
#[derive(Debug, Clone)]
enum Known {
    /// As it is.
    Campaign(Arc<Campaign>),
    /// Only that it is at this version, or a later one.
    NotBelow(u64),
}

impl Known {
    fn version(&self) -> u64 {
        match self {
            Self::Campaign(campaign) => campaign.version,
            Self::NotBelow(version) => *version,
        }
    }
}

impl LocalCache {
    /// A cache of at most `max_campaigns` campaigns and about `max_bytes` bytes, whichever is reached first.
    pub fn new(max_campaigns: u64, max_bytes: u64) -> Self {
        // One bound for both: a campaign weighs its size, but no less than its share of the bytes.
        let share = max_bytes.checked_div(max_campaigns).unwrap_or(u64::MAX);
        let weigh = move |_: &CampaignKey, known: &Known| {
            let size = match known {
                Known::Campaign(campaign) => size_of_campaign(campaign),
                Known::NotBelow(_) => 0,
            };
            u32::try_from(size.max(share)).unwrap_or(u32::MAX)
        };
        let campaigns =
            moka::sync::Cache::builder().max_capacity(max_bytes).weigher(weigh).time_to_live(LONGEST_STAY).build();
        Self { campaigns }
    }

    /// Forgets now what is over the bounds; by itself it does so by the way, a little later.
    pub fn tidy(&self) {
        self.campaigns.run_pending_tasks();
    }
}

#[async_trait]
impl Cache for LocalCache {
    async fn get(&self, key: &CampaignKey) -> Option<Arc<Campaign>> {
        match self.campaigns.get(key)? {
            Known::Campaign(campaign) => Some(campaign),
            Known::NotBelow(_) => None,
        }
    }

    async fn put(&self, campaigns: Vec<Arc<Campaign>>) {
        for campaign in campaigns {
            let entry = self.campaigns.entry(campaign.key.clone());
            entry.and_compute_with(|known| match known.map(moka::Entry::into_value) {
                Some(Known::Campaign(known)) if known.version >= campaign.version => Op::Nop,
                Some(Known::NotBelow(version)) if version > campaign.version => Op::Nop,
                _ => Op::Put(Known::Campaign(campaign)),
            });
        }
    }

    async fn outdated(&self, versions: Vec<(CampaignKey, u64)>) {
        for (key, version) in versions {
            self.campaigns.entry(key).and_compute_with(|known| match known {
                Some(known) if known.value().version() >= version => Op::Nop,
                _ => Op::Put(Known::NotBelow(version)),
            });
        }
    }
}

/// About how many bytes it keeps alive; its texts are shared with nobody for long.
fn size_of_campaign(campaign: &Campaign) -> u64 {
    let texts = campaign.key.tenant.as_str().len()
        + campaign.key.id.as_str().len()
        + campaign.definition.metadata.as_str().len()
        + campaign.original.as_ref().map_or(0, |o| size_of_val(&**o) + o.metadata.as_str().len());
    let timers: usize = campaign
        .timers
        .iter()
        .map(|timer| size_of_val(timer) + timer.payload.as_ref().map_or(0, |payload| payload.as_str().len()))
        .sum();
    (size_of::<Campaign>() + texts + timers) as u64
}
