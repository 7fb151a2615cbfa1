//! Campaigns at hand, shared by all processes. When they are put and told to be outdated does not live here.
//!
//! The cache never goes back, also when Redis fails:
//! * Versions are compared in the server, where writes come one after the other (H1, H3).
//! * A process that could not write, or whose connection was lost (the server behind it may be another one, or have
//!   forgotten its last second), trusts nothing in the cache until it has emptied it: it raises the epoch, and entries of
//!   older epochs are given to nobody.
//! * Entries live for a minute, and at most so many as are set (H2): the oldest make room. Of those the version stays, as it
//!   does of what was only told to be outdated: at most as many again, but none that was learned within [`REMEMBERED`] goes,
//!   so that no reader, however slow, puts an older campaign back. The server itself is never asked to evict anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use domain::{Campaign, CampaignKey};
use fred::error::Error;
use fred::prelude::Value;
use ports::PortError;
use ports::cache::{Cache, REMEMBERED};

use crate::failure::writing;
use crate::link::{Link, Script};
use crate::names::{CACHE_ENTRY, CACHE_EPOCH, CACHE_INDEX, CACHE_VERSIONS, Names};
use crate::settings::RedisSettings;
use crate::values::{arg, text};

/// How long an entry is kept.
const LONGEST_STAY: Duration = Duration::from_mins(1);
/// So long a commit waits for a cache that could not be written last time: one that is slower is of no use.
const SECOND_WAIT: Duration = Duration::from_millis(10);
/// So many campaigns are written in one step.
const CHUNK: usize = 100;

static GET: Script = Script::new(include_str!("scripts/cache_get.lua"));
static PUT: Script = Script::new(include_str!("scripts/cache_put.lua"));
static RAISE: Script = Script::new("return redis.call('INCR', KEYS[1])");

/// [`Cache`] in Redis.
pub struct RedisCache {
    link: Arc<Link>,
    names: Names,
    epoch: String,
    index: String,
    versions: String,
    wait: Duration,
    write_wait: Duration,
    /// How long telling what is outdated may take: the world waits for it.
    tell_wait: Duration,
    most: u32,
    /// A write failed since the cache was emptied last.
    failed: AtomicBool,
    /// The losses of the connection when the cache was emptied last, and one more; 0 is never.
    trusted_at: AtomicU64,
}

impl RedisCache {
    pub(crate) fn new(link: Arc<Link>, names: Names, settings: &RedisSettings) -> Self {
        Self {
            // What others have left there may be from before a loss that this process knows nothing of.
            trusted_at: AtomicU64::new(0),
            epoch: names.of(CACHE_EPOCH),
            index: names.of(CACHE_INDEX),
            versions: names.of(CACHE_VERSIONS),
            wait: settings.cache_wait,
            write_wait: settings.cache_write_wait,
            tell_wait: settings.command_timeout,
            most: settings.cache_campaigns,
            failed: AtomicBool::new(false),
            link,
            names,
        }
    }

    /// Whether what is in there may be believed.
    fn is_trusted(&self) -> bool {
        !self.failed.load(Ordering::Acquire) && self.trusted_at.load(Ordering::Acquire) == self.link.losses() + 1
    }

    fn entry(&self, key: &CampaignKey) -> String {
        self.names.of(&format!("{CACHE_ENTRY}{}/{}", key.tenant.as_str(), key.id.as_str()))
    }

    async fn write(&self, entries: Vec<(String, u64, String)>, within: Duration) -> Result<(), Error> {
        let written = self.try_write(&entries, within).await;
        if let Err(error) = &written {
            if !self.failed.swap(true, Ordering::AcqRel) {
                tracing::warn!(error = %error, "the cache in Redis cannot be written; it is not read until it can");
            }
            metrics::counter!("lifecycle_cache_failures_total").increment(1);
        }
        written
    }

    async fn try_write(&self, entries: &[(String, u64, String)], within: Duration) -> Result<(), Error> {
        if !self.is_trusted() {
            let losses = self.link.losses();
            self.link.run_within(within, &RAISE, vec![self.epoch.clone()], Vec::new()).await?;
            self.trusted_at.store(losses + 1, Ordering::Release);
            self.failed.store(false, Ordering::Release);
        }
        for chunk in entries.chunks(CHUNK) {
            let mut keys = vec![self.epoch.clone(), self.index.clone(), self.versions.clone()];
            let mut args: Vec<Value> = vec![arg(LONGEST_STAY.as_millis()), arg(REMEMBERED.as_millis()), arg(self.most)];
            for (key, version, body) in chunk {
                keys.push(key.clone());
                args.extend([arg(version), body.as_str().into()]);
            }
            self.link.run_within(within, &PUT, keys, args).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Cache for RedisCache {
    async fn get(&self, key: &CampaignKey) -> Option<Arc<Campaign>> {
        if !self.is_trusted() {
            return None;
        }
        let answer = self.link.run_within(self.wait, &GET, vec![self.epoch.clone(), self.entry(key)], Vec::new()).await;
        let body = match answer {
            // The connection may have been lost meanwhile, and the answer be that of another server.
            Ok(body) if self.is_trusted() => text(&body)?,
            Ok(_) => return None,
            Err(error) => {
                tracing::debug!(error = %error, "the cache in Redis does not answer");
                metrics::counter!("lifecycle_cache_failures_total").increment(1);
                return None;
            }
        };
        match wire::stored::decode_campaign(key, &body) {
            Ok(campaign) => Some(Arc::new(campaign)),
            Err(error) => {
                tracing::debug!(error = %error, "a cached campaign cannot be read; another version wrote it");
                None
            }
        }
    }

    async fn put(&self, campaigns: Vec<Arc<Campaign>>) {
        if !campaigns.is_empty() {
            let entry = |c: &Arc<Campaign>| (self.entry(&c.key), c.version, wire::stored::encode_campaign(c));
            let has_failed = self.failed.load(Ordering::Acquire);
            let within = if has_failed { self.write_wait.min(SECOND_WAIT) } else { self.write_wait };
            // What cannot be kept is told by `write`, and read from the store.
            let _ = self.write(campaigns.iter().map(entry).collect(), within).await;
        }
    }

    async fn outdated(&self, versions: Vec<(CampaignKey, u64)>) -> Result<(), PortError> {
        if versions.is_empty() {
            return Ok(());
        }
        let entry = |(key, version): &(CampaignKey, u64)| (self.entry(key), *version, String::new());
        self.write(versions.iter().map(entry).collect(), self.tell_wait).await.map_err(writing)
    }
}
