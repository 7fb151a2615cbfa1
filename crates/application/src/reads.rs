//! Questions about campaigns.

use std::sync::Arc;
use std::time::Duration;

use domain::{Campaign, CampaignKey};
use ports::PortError;
use ports::cache::Cache;
use ports::query::Queries;
use tokio::time::Instant;

/// What was read longer ago is not put into the cache: by then it may have forgotten that it is outdated (H3 of its port,
/// with a wide margin).
const FRESH: Duration = Duration::from_secs(1);

/// Answers questions.
pub struct Reads {
    queries: Arc<dyn Queries>,
    cache: Arc<dyn Cache>,
}

impl Reads {
    /// Answers from `queries`, and from `cache` where it can.
    pub fn new(queries: Arc<dyn Queries>, cache: Arc<dyn Cache>) -> Self {
        Self { queries, cache }
    }

    /// The read side itself, for questions that need nothing on top.
    pub fn queries(&self) -> &dyn Queries {
        self.queries.as_ref()
    }

    /// One campaign, from the cache when it is there.
    pub async fn campaign(&self, key: &CampaignKey) -> Result<Option<Arc<Campaign>>, PortError> {
        if let Some(campaign) = self.cache.get(key).await {
            return Ok(Some(campaign));
        }
        let began = Instant::now();
        let Some(campaign) = self.queries.campaign(key).await?.map(Arc::new) else { return Ok(None) };
        if began.elapsed() <= FRESH {
            self.cache.put(vec![Arc::clone(&campaign)]).await;
        }
        Ok(Some(campaign))
    }
}
