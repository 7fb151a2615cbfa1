//! The suite of the cache (H1 to H3).

use std::sync::Arc;

use async_trait::async_trait;
use domain::{Campaign, Timestamp};
use ports::cache::Cache;
use ports::store::View;

use crate::fixtures::{definition, key, key_of, seconds};
use crate::orders::{Order, carry_out};

/// A cache of its own for one case.
#[async_trait]
pub trait CacheHarness: Send + Sync {
    /// The cache.
    fn cache(&self) -> Arc<dyn Cache>;

    /// How many small campaigns it may hold at most; some hundreds.
    fn capacity(&self) -> usize;

    /// Waits until it has forgotten what it must forget.
    async fn settle(&self);
}

/// One test per case of the cache; `$make` gives a fresh [`CacheHarness`].
#[macro_export]
macro_rules! cache_contract {
    ($make:expr) => {
        $crate::contract_tests! {
            $make;
            cache {
                what_was_kept_is_at_hand,
                an_older_version_never_replaces_a_newer_one,
                a_campaign_never_goes_back_among_many_writers,
                campaigns_of_two_tenants_are_two,
                what_is_outdated_is_not_given_any_more,
                what_is_outdated_is_remembered_however_much_is_put,
                its_size_is_bounded,
            }
        }
    };
}

fn campaign(id: &str, version: u64) -> Arc<Campaign> {
    let now = Timestamp::UNIX_EPOCH + seconds(1_800_000_000);
    let view = View { now, ..View::default() };
    let mut changes = carry_out(&view, &[Order::create(&key(id), definition(now))]);
    let made = changes.campaigns.remove(0).campaign;
    Arc::new(Campaign { version, ..made })
}

async fn version(h: &impl CacheHarness, id: &str) -> Option<u64> {
    h.cache().get(&key(id)).await.map(|campaign| campaign.version)
}

/// H1: what was kept is given back as it was, and what nobody kept is not there.
pub async fn what_was_kept_is_at_hand(h: &mut impl CacheHarness) {
    let spring = campaign("spring", 3);
    assert_eq!(h.cache().get(&key("spring")).await, None);
    h.cache().put(vec![spring.clone(), campaign("autumn", 1)]).await;
    assert_eq!(h.cache().get(&key("spring")).await, Some(spring));
    assert_eq!(version(h, "autumn").await, Some(1));
    assert_eq!(version(h, "winter").await, None);
}

/// H1: an older version never replaces a newer one, in one call or in several.
pub async fn an_older_version_never_replaces_a_newer_one(h: &mut impl CacheHarness) {
    for (put, wanted) in [(3, 3), (2, 3), (4, 4), (1, 4), (4, 4)] {
        h.cache().put(vec![campaign("spring", put)]).await;
        assert_eq!(version(h, "spring").await, Some(wanted), "after {put}");
    }
    h.cache().put(vec![campaign("spring", 9), campaign("spring", 5)]).await;
    assert_eq!(version(h, "spring").await, Some(9));
}

/// H1: nor when many write and read at once.
pub async fn a_campaign_never_goes_back_among_many_writers(h: &mut impl CacheHarness) {
    let mut tasks = tokio::task::JoinSet::new();
    for offset in 0..4_u64 {
        let cache = h.cache();
        tasks.spawn(async move {
            let mut last = 0;
            for n in 0..500 {
                cache.put(vec![campaign("spring", (n * 7 + offset * 13) % 500)]).await;
                let seen = cache.get(&key("spring")).await.map_or(last, |campaign| campaign.version);
                assert!(seen >= last, "{seen} after {last}");
                last = seen;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("nobody sees it go back");
    }
}

/// H1: a campaign of another tenant is another campaign.
pub async fn campaigns_of_two_tenants_are_two(h: &mut impl CacheHarness) {
    h.cache().put(vec![campaign("spring", 3)]).await;
    assert_eq!(h.cache().get(&key_of("globex", "spring")).await, None);
}

/// H3: what was told to be outdated is not given any more, whoever puts it again.
pub async fn what_is_outdated_is_not_given_any_more(h: &mut impl CacheHarness) {
    h.cache().put(vec![campaign("spring", 3), campaign("autumn", 8)]).await;
    h.cache().outdated(vec![(key("spring"), 5), (key("autumn"), 8), (key("winter"), 2)]).await.expect("telling");
    assert_eq!(version(h, "spring").await, None);
    assert_eq!(version(h, "autumn").await, Some(8), "it is at that version already");
    for late in [campaign("spring", 4), campaign("winter", 1)] {
        h.cache().put(vec![late]).await;
    }
    assert_eq!((version(h, "spring").await, version(h, "winter").await), (None, None), "read before the step");
    h.cache().outdated(vec![(key("spring"), 2)]).await.expect("telling");
    h.cache().put(vec![campaign("spring", 4), campaign("spring", 5)]).await;
    assert_eq!(version(h, "spring").await, Some(5));
}

/// H3: what was told is remembered behind any number of campaigns and of others that are outdated: a slow reader, who read
/// before the step, puts its campaign in vain.
pub async fn what_is_outdated_is_remembered_however_much_is_put(h: &mut impl CacheHarness) {
    let many = h.capacity() * 3;
    h.cache().put(vec![campaign("autumn", 6)]).await;
    h.cache().outdated(vec![(key("spring"), 5)]).await.expect("telling");
    h.cache().put((0..many).map(|n| campaign(&format!("c-{n}"), 1)).collect()).await;
    h.cache().outdated((0..many).map(|n| (key(&format!("d-{n}")), 2)).collect()).await.expect("telling");
    h.settle().await;
    h.cache().put(vec![campaign("spring", 4), campaign("autumn", 5), campaign("d-0", 1)]).await;
    assert_eq!((version(h, "spring").await, version(h, "d-0").await), (None, None), "read before the step");
    // Whether it was forgotten or not.
    assert_ne!(version(h, "autumn").await, Some(5), "it went back");
    h.cache().put(vec![campaign("spring", 5)]).await;
    h.settle().await;
    assert!(matches!(version(h, "spring").await, None | Some(5)));
}

/// H2: however much is put in, it holds no more than it may.
pub async fn its_size_is_bounded(h: &mut impl CacheHarness) {
    let many = h.capacity() * 10;
    for n in 0..many {
        h.cache().put(vec![campaign(&format!("c-{n}"), 1)]).await;
    }
    h.settle().await;
    let mut held = 0;
    for n in 0..many {
        held += usize::from(version(h, &format!("c-{n}")).await.is_some());
    }
    assert!(held <= h.capacity(), "{held} of at most {}", h.capacity());
    assert!(held > 0, "a cache that forgets everything is none");
}
