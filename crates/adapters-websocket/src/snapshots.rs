//! Reading snapshots for thousands who come at once: whoever asks for the same while it is being read shares the next
//! reading. So each gets one that began after it asked, and a store is asked one thing at a time, not ten thousand.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::OwnerId;
use ports::feed::Channel;
use ports::journal::Position;
use wire::frames::Snapshot;

use crate::subscribing::NoSnapshot;

/// A snapshot, and the position of which everything is in it.
pub(crate) type Reading = Arc<(Snapshot, Position)>;
/// What is shared: who sees only campaigns of an owner sees other snapshots.
type Key = (Channel, Option<OwnerId>);

/// The snapshots that are being read.
#[derive(Default)]
pub(crate) struct Snapshots {
    open: Mutex<HashMap<Key, Arc<Readings>>>,
}

#[derive(Default)]
struct Readings {
    /// How many have begun.
    begun: AtomicU64,
    /// The last one and its number; whoever holds this reads.
    last: tokio::sync::Mutex<Option<(u64, Result<Reading, NoSnapshot>)>>,
}

impl Snapshots {
    /// A snapshot that began after this was called, `read` unless somebody else reads it.
    pub(crate) async fn take(
        &self,
        channel: &Channel,
        owner: Option<&OwnerId>,
        read: impl Future<Output = Result<Reading, NoSnapshot>>,
    ) -> Result<Reading, NoSnapshot> {
        let key = (channel.clone(), owner.cloned());
        let readings = Arc::clone(self.open().entry(key.clone()).or_default());
        let _leave = Leave { snapshots: self, key };
        let asked = readings.begun.load(Ordering::SeqCst);
        let mut last = readings.last.lock().await;
        if let Some((number, shared)) = &*last
            && *number > asked
        {
            return shared.clone();
        }
        let number = readings.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let reading = read.await;
        *last = Some((number, reading.clone()));
        reading
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Key, Arc<Readings>>> {
        // The map is whole after every statement: a panic elsewhere does not spoil it.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets what nobody waits for, also when whoever waited is gone.
struct Leave<'s> {
    snapshots: &'s Snapshots,
    key: Key,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut open = self.snapshots.open();
        // One is the map's, one that of whoever leaves.
        if open.get(&self.key).is_some_and(|readings| Arc::strong_count(readings) <= 2) {
            open.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use domain::TenantId;
    use tokio::sync::Semaphore;
    use wire::frames::{StatusCountsBody, TenantSnapshot};

    use super::*;

    fn tenant() -> Channel {
        Channel::Tenant(TenantId::default_tenant())
    }

    /// A store that answers when it is allowed to, and counts.
    struct Store {
        snapshots: Snapshots,
        reads: AtomicUsize,
        answers: Semaphore,
    }

    impl Store {
        fn new(answers: usize) -> Arc<Self> {
            let answers = Semaphore::new(answers);
            Arc::new(Self { snapshots: Snapshots::default(), reads: AtomicUsize::new(0), answers })
        }

        /// The position that the snapshot is of: how many readings there were.
        async fn ask(self: Arc<Self>, channel: Channel, is_there: bool) -> Result<u64, NoSnapshot> {
            let read = async {
                let number = self.reads.fetch_add(1, Ordering::SeqCst) + 1;
                self.answers.acquire().await.expect("open").forget();
                let counts = StatusCountsBody::from([].as_slice());
                let snapshot = Snapshot::Tenant(TenantSnapshot { counts });
                let reading = Arc::new((snapshot, Position(number as u64)));
                if is_there { Ok(reading) } else { Err(NoSnapshot::Unavailable) }
            };
            self.snapshots.take(&channel, None, read).await.map(|reading| reading.1.0)
        }
    }

    #[tokio::test]
    async fn those_who_come_during_a_reading_share_the_next_one() {
        let store = Store::new(0);
        let first = tokio::spawn(Arc::clone(&store).ask(tenant(), true));
        tokio::task::yield_now().await;
        let later: Vec<_> = (0..100).map(|_| tokio::spawn(Arc::clone(&store).ask(tenant(), true))).collect();
        tokio::task::yield_now().await;
        store.answers.add_permits(2);
        assert_eq!(first.await.expect("no panic").ok(), Some(1));
        for later in later {
            assert_eq!(later.await.expect("no panic").ok(), Some(2));
        }
        assert!(store.snapshots.open().is_empty());
    }

    #[tokio::test]
    async fn a_failure_is_shared_too_and_nothing_is_kept_for_those_who_come_after() {
        let store = Store::new(9);
        assert!(matches!(Arc::clone(&store).ask(tenant(), false).await, Err(NoSnapshot::Unavailable)));
        assert_eq!(Arc::clone(&store).ask(tenant(), true).await.ok(), Some(2));
        assert_eq!(Arc::clone(&store).ask(Channel::System, true).await.ok(), Some(3));
    }

    #[tokio::test]
    async fn whoever_reads_may_go_and_the_next_one_reads() {
        let store = Store::new(0);
        let first = tokio::spawn(Arc::clone(&store).ask(tenant(), true));
        tokio::task::yield_now().await;
        let second = tokio::spawn(Arc::clone(&store).ask(tenant(), true));
        tokio::task::yield_now().await;
        first.abort();
        store.answers.add_permits(1);
        assert_eq!(second.await.expect("no panic").ok(), Some(2));
        assert!(store.snapshots.open().is_empty());
    }
}
