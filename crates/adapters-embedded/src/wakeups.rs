//! Hints between the tasks of one process. Hints between processes do not live here: the embedded wiring has one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;
use domain::Timestamp;
use ports::wakeups::{Hint, Sleeper, Wakeups};
use tokio::sync::Notify;

/// [`Wakeups`] within one process. A sleeper that is gone costs nothing after the next hint.
#[derive(Debug, Default)]
pub struct LocalWakeups {
    sleepers: Mutex<Vec<Weak<Slot>>>,
}

impl LocalWakeups {
    /// Nobody sleeps yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }
}

impl Wakeups for LocalWakeups {
    fn announce(&self, hint: Hint) {
        lock(&self.sleepers).retain(|sleeper| sleeper.upgrade().inspect(|slot| slot.leave(hint)).is_some());
    }

    fn subscribe(&self) -> Box<dyn Sleeper> {
        let slot = Arc::new(Slot::default());
        lock(&self.sleepers).push(Arc::downgrade(&slot));
        Box::new(LocalSleeper { slot })
    }
}

/// What one sleeper still has to take. A [`Notify`] keeps one permit, so hints of a kind merge by themselves.
#[derive(Debug, Default)]
struct Slot {
    earliest: Mutex<Option<Timestamp>>,
    armed: Notify,
    committed: Notify,
    appended: Notify,
}

impl Slot {
    fn leave(&self, hint: Hint) {
        match hint {
            Hint::TimerArmed(at) => {
                let mut earliest = lock(&self.earliest);
                *earliest = Some(earliest.map_or(at, |known| known.min(at)));
                self.armed.notify_one();
            }
            Hint::Committed => self.committed.notify_one(),
            Hint::Appended => self.appended.notify_one(),
        }
    }
}

struct LocalSleeper {
    slot: Arc<Slot>,
}

#[async_trait]
impl Sleeper for LocalSleeper {
    async fn timer_armed(&mut self) -> Timestamp {
        loop {
            // Looked at before every wait: a permit may have been spent by a call that was dropped.
            if let Some(at) = lock(&self.slot.earliest).take() {
                return at;
            }
            self.slot.armed.notified().await;
        }
    }

    async fn committed(&mut self) {
        self.slot.committed.notified().await;
    }

    async fn appended(&mut self) {
        self.slot.appended.notified().await;
    }
}

/// What these locks protect is whole at every instant, also after a panic elsewhere.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
