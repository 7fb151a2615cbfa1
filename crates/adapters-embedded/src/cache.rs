//! Campaigns at hand, in memory, bounded by number and by size. Where they are stored does not live here.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::{Campaign, CampaignKey};
use moka::ops::compute::Op;
use ports::PortError;
use ports::cache::{Cache, REMEMBERED};

/// The net below the version guard: whatever slipped in late is gone after this long.
const LONGEST_STAY: Duration = Duration::from_mins(1);

/// [`Cache`] in this process.
#[derive(Debug, Clone)]
pub struct LocalCache {
    campaigns: moka::sync::Cache<CampaignKey, Arc<Campaign>>,
    /// The highest version of each campaign that was heard of lately. Apart from the campaigns, and not bounded by number:
    /// a campaign makes room for others, or is not even let in, but that it is outdated must not be forgotten (H3).
    versions: moka::sync::Cache<CampaignKey, u64>,
}

impl LocalCache {
    /// A cache of at most `max_campaigns` campaigns and about `max_bytes` bytes, whichever is reached first.
    pub fn new(max_campaigns: u64, max_bytes: u64) -> Self {
        // One bound for both: a campaign weighs its size, but no less than its share of the bytes.
        let share = max_bytes.checked_div(max_campaigns).unwrap_or(u64::MAX);
        let weigh = move |_: &CampaignKey, campaign: &Arc<Campaign>| {
            u32::try_from(size_of_campaign(campaign).max(share)).unwrap_or(u32::MAX)
        };
        let campaigns =
            moka::sync::Cache::builder().max_capacity(max_bytes).weigher(weigh).time_to_live(LONGEST_STAY).build();
        let versions = moka::sync::Cache::builder().time_to_live(REMEMBERED).build();
        Self { campaigns, versions }
    }

    /// Notes that `key` is at `version` or a later one.
    fn note(&self, key: &CampaignKey, version: u64) {
        self.versions.entry_by_ref(key).and_compute_with(|known| match known {
            Some(known) if *known.value() > version => Op::Nop,
            // Also when it is the same: it is remembered from now on.
            _ => Op::Put(version),
        });
    }

    /// Forgets now what is over the bounds; by itself it does so by the way, a little later.
    pub fn tidy(&self) {
        self.campaigns.run_pending_tasks();
        self.versions.run_pending_tasks();
    }
}

#[async_trait]
impl Cache for LocalCache {
    async fn get(&self, key: &CampaignKey) -> Option<Arc<Campaign>> {
        self.campaigns.get(key)
    }

    async fn put(&self, campaigns: Vec<Arc<Campaign>>) {
        for campaign in campaigns {
            self.note(&campaign.key, campaign.version);
            // Noted first, looked at while the entry is held: of two at once the later one sees what the earlier one noted.
            self.campaigns.entry(campaign.key.clone()).and_compute_with(|known| {
                let noted = self.versions.get(&campaign.key).unwrap_or_default();
                let is_late = known.is_some_and(|known| known.value().version >= campaign.version);
                if is_late || noted > campaign.version { Op::Nop } else { Op::Put(campaign) }
            });
        }
    }

    async fn outdated(&self, versions: Vec<(CampaignKey, u64)>) -> Result<(), PortError> {
        for (key, version) in versions {
            self.note(&key, version);
            self.campaigns.entry(key).and_compute_with(|known| match known {
                Some(known) if known.value().version < version => Op::Remove,
                _ => Op::Nop,
            });
        }
        Ok(())
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
