//! What is read and put into the cache: only what was read just now.

mod support;

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use lifecycle_application::Reads;
use ports::cache::MockCache;
use ports::query::MockQueries;
use support::{campaign, key};

/// Reads one campaign, which takes so long, and answers how often the cache was given it.
async fn read(takes: Duration, puts: usize) {
    let mut queries = MockQueries::new();
    queries.expect_campaign().times(1).returning(move |_| {
        // The time passes at once; whoever else waits for it is of no interest.
        let _ = pin!(tokio::time::advance(takes)).as_mut().poll(&mut Context::from_waker(Waker::noop()));
        Ok(Some(campaign("spring")))
    });
    let mut cache = MockCache::new();
    cache.expect_get().times(1).returning(|_| None);
    cache.expect_put().times(puts).returning(|_| ());
    let found = Reads::new(Arc::new(queries), Arc::new(cache)).campaign(&key("spring")).await.expect("reading");
    assert!(found.is_some(), "it is answered all the same");
}

#[tokio::test(start_paused = true)]
async fn what_was_read_is_at_hand_from_then_on() {
    read(Duration::from_millis(20), 1).await;
}

/// It was so once: a slow reader put back a campaign from before a step that the cache had forgotten meanwhile.
#[tokio::test(start_paused = true)]
async fn a_slow_reader_does_not_put_back_what_may_be_outdated_by_now() {
    read(Duration::from_millis(1_500), 0).await;
}
