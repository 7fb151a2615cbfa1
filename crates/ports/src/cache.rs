//! Campaigns at hand, so that the most frequent question costs no read.
//!
//! Rules:
//! * **H1** A cached campaign never goes back: an older version never replaces a newer one.
//! * **H2** The cache may forget anything at any time; its size is bounded.
//! * **H3** Once a campaign was told to be outdated below a version, no older one is given, whoever puts it.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{Campaign, CampaignKey};

/// Campaigns at hand.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Cache: Send + Sync + 'static {
    /// The campaign, if it is at hand.
    async fn get(&self, key: &CampaignKey) -> Option<Arc<Campaign>>;

    /// Keeps these, unless a newer version is there.
    async fn put(&self, campaigns: Vec<Arc<Campaign>>);

    /// These campaigns are at these versions now; whatever is older is not to be given any more.
    async fn outdated(&self, versions: Vec<(CampaignKey, u64)>);
}
