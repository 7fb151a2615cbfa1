//! Campaigns that somebody else sits on: whoever waited for one in vain does not wait for it again, until it was seen free.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::CampaignKey;

/// More are not remembered: what is forgotten is waited for once more.
const MOST: usize = 1_000;

/// Campaigns that somebody else held for too long.
#[derive(Debug, Default)]
pub(crate) struct SatUpon(Mutex<HashSet<CampaignKey>>);

impl SatUpon {
    /// Parts campaigns into those to wait for, and those that are sat upon.
    pub(crate) fn part<'k>(&self, keys: &'k [CampaignKey]) -> (Vec<&'k CampaignKey>, Vec<&'k CampaignKey>) {
        let known = self.lock();
        keys.iter().partition(|key| !known.contains(*key))
    }

    /// Of `asked`, these are `busy` and all others are not.
    pub(crate) fn learn(&self, asked: &[&CampaignKey], busy: &HashSet<CampaignKey>) {
        let mut known = self.lock();
        for key in asked {
            known.remove(*key);
        }
        let room = MOST.saturating_sub(known.len());
        known.extend(busy.iter().take(room).cloned());
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<CampaignKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
