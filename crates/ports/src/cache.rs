//! Campaigns at hand, so that the most frequent question costs no read.
//!
//! Rules:
//! * **H1** A cached campaign never goes back: an older version never replaces a newer one.
//! * **H2** The cache may forget any campaign at any time; how many it holds is bounded.
//! * **H3** Once a campaign was told to be outdated below a version, no older one is given, whoever puts it. What was told
//!   is remembered for [`REMEMBERED`] at least, however full the cache is: nobody may put what was read longer ago.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::{Campaign, CampaignKey};

use crate::PortError;

/// For so long no version is forgotten that the cache was told of.
pub const REMEMBERED: Duration = Duration::from_secs(5);

/// Campaigns at hand.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Cache: Send + Sync + 'static {
    /// The campaign, if it is at hand.
    async fn get(&self, key: &CampaignKey) -> Option<Arc<Campaign>>;

    /// Keeps these, unless a newer version is known. Not for what was read long ago (H3).
    async fn put(&self, campaigns: Vec<Arc<Campaign>>);

    /// These campaigns are at these versions now; whatever is older is not to be given any more. After an error it may be.
    async fn outdated(&self, versions: Vec<(CampaignKey, u64)>) -> Result<(), PortError>;
}
