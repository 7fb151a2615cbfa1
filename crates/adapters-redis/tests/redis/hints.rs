//! Hints between processes, and the marks that they call out.

use std::sync::{Arc, Mutex, Weak};

use async_trait::async_trait;
use domain::Timestamp;
use ports::feed::Publisher as _;
use ports::journal::Position;
use ports::wakeups::{Hint, Sleeper, Wakeups};
use tokio::sync::Notify;

use crate::support::{PATIENCE, World, eventually, instant, records};

/// Hints within one process: what the shared ones build on.
#[derive(Default)]
pub(crate) struct LocalHints(Mutex<Vec<Weak<Slot>>>);

#[derive(Default)]
struct Slot {
    earliest: Mutex<Option<Timestamp>>,
    armed: Notify,
    committed: Notify,
    appended: Notify,
}

impl LocalHints {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }
}

impl Wakeups for LocalHints {
    fn announce(&self, hint: Hint) {
        self.0.lock().expect("no panic").retain(|slot| {
            let Some(slot) = slot.upgrade() else { return false };
            match hint {
                Hint::Committed => slot.committed.notify_one(),
                Hint::Appended => slot.appended.notify_one(),
                Hint::TimerArmed(at) => {
                    let mut earliest = slot.earliest.lock().expect("no panic");
                    *earliest = Some(earliest.map_or(at, |known| known.min(at)));
                    slot.armed.notify_one();
                }
            }
            true
        });
    }

    fn subscribe(&self) -> Box<dyn Sleeper> {
        let slot = Arc::<Slot>::default();
        self.0.lock().expect("no panic").push(Arc::downgrade(&slot));
        Box::new(LocalSleeper(slot))
    }
}

struct LocalSleeper(Arc<Slot>);

#[async_trait]
impl Sleeper for LocalSleeper {
    async fn timer_armed(&mut self) -> Timestamp {
        loop {
            if let Some(at) = self.0.earliest.lock().expect("no panic").take() {
                return at;
            }
            self.0.armed.notified().await;
        }
    }

    async fn committed(&mut self) {
        self.0.committed.notified().await;
    }

    async fn appended(&mut self) {
        self.0.appended.notified().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hints_wake_sleepers_of_other_processes() {
    let world = World::fresh().await;
    let other = world.other("two").await;
    let (here, there) = (world.redis.wakeups(LocalHints::new()), other.wakeups(LocalHints::new()));
    let mut sleeper = there.subscribe();
    for at in [9, 4, 6] {
        here.announce(Hint::TimerArmed(instant() + chrono::TimeDelta::seconds(at)));
    }
    let mut earliest = tokio::time::timeout(PATIENCE, sleeper.timer_armed()).await.expect("it is woken");
    while earliest > instant() + chrono::TimeDelta::seconds(4) {
        // The first may have gone out alone.
        earliest = tokio::time::timeout(PATIENCE, sleeper.timer_armed()).await.expect("it is woken again");
    }
    here.announce(Hint::Committed);
    tokio::time::timeout(PATIENCE, sleeper.committed()).await.expect("it is woken");
    here.announce(Hint::Appended);
    tokio::time::timeout(PATIENCE, sleeper.appended()).await.expect("it is woken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hints_are_heard_again_after_a_lost_connection() {
    let server = test_servers::Redis::start();
    let world = World::fresh_at(&server.url()).await;
    let other = world.other("two").await;
    let (here, there) = (world.redis.wakeups(LocalHints::new()), other.wakeups(LocalHints::new()));
    let mut sleeper = there.subscribe();
    let channel = world.key("lifecycle:hints");
    let heard_by = async || {
        let answer: Vec<String> = world.raw.call(&["PUBSUB", "NUMSUB", &channel]).await.convert().expect("a list");
        answer[1].clone()
    };
    assert_eq!(heard_by().await, "2");
    world.raw.call(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    eventually("both listen again", async || heard_by().await == "2").await;
    here.announce(Hint::TimerArmed(instant()));
    let armed = tokio::time::timeout(PATIENCE, sleeper.timer_armed()).await.expect("it is woken");
    assert_eq!(armed, instant());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_process_knows_the_mark() {
    let world = World::fresh().await;
    let other = world.other("two").await;
    let (mut here, mut there) = (world.redis.marks(), other.marks());
    assert_eq!((*here.borrow(), *there.borrow()), (Position::START, Position::START));
    world.redis.publisher().publish(records(1..=7)).await.expect("publishing");
    for marks in [&mut here, &mut there] {
        let seven = marks.wait_for(|mark| *mark == Position(7));
        tokio::time::timeout(PATIENCE, seven).await.expect("it is called out").expect("it goes on");
    }
    // A process that comes later looks by itself.
    let late = world.other("three").await;
    assert_eq!(*late.marks().borrow(), Position(7));
    // A mark that nobody called out, and one that went back, are found by looking.
    let key = world.key("lifecycle:mark");
    for position in [9, 3] {
        world.raw.call(&["HSET", &key, "position", &position.to_string()]).await;
        let found = there.wait_for(|mark| *mark == Position(position));
        tokio::time::timeout(PATIENCE, found).await.expect("it is found").expect("it goes on");
    }
}
