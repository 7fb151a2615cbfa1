//! Hints within an instance, and between instances, where they may get lost.

use std::sync::{Arc, Mutex, Weak};

use async_trait::async_trait;
use domain::Timestamp;
use ports::wakeups::{Hint, Sleeper, Wakeups};
use tokio::sync::Notify;

use super::node::lock;
use crate::fault::Fault;
use crate::world::World;

/// The hints of one instance.
pub struct SimWakeups {
    world: Weak<World>,
    who: u64,
    sleepers: Mutex<Vec<Weak<Slot>>>,
}

impl SimWakeups {
    pub(super) fn new(world: &Arc<World>, who: u64) -> Arc<Self> {
        let new = Arc::new(Self { world: Arc::downgrade(world), who, sleepers: Mutex::default() });
        world.state().wakeups.push(Arc::downgrade(&new));
        new
    }

    fn leave(&self, hint: Hint) {
        lock(&self.sleepers).retain(|sleeper| sleeper.upgrade().inspect(|slot| slot.leave(hint)).is_some());
    }
}

impl Wakeups for SimWakeups {
    fn announce(&self, hint: Hint) {
        let Some(world) = self.world.upgrade() else { return };
        let all: Vec<_> = {
            let mut state = world.state();
            state.wakeups.retain(|wakeups| wakeups.strong_count() > 0);
            state.wakeups.iter().filter_map(Weak::upgrade).collect()
        };
        for wakeups in all {
            if wakeups.who == self.who || !world.strikes(Fault::HintLost, wakeups.who) {
                wakeups.leave(hint);
            }
        }
    }

    fn subscribe(&self) -> Box<dyn Sleeper> {
        let slot = Arc::new(Slot::default());
        lock(&self.sleepers).push(Arc::downgrade(&slot));
        Box::new(SimSleeper { slot })
    }
}

#[derive(Default)]
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

struct SimSleeper {
    slot: Arc<Slot>,
}

#[async_trait]
impl Sleeper for SimSleeper {
    async fn timer_armed(&mut self) -> Timestamp {
        loop {
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
