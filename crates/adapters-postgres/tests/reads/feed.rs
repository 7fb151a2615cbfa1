//! What live clients read: the suite of the feed behind a publisher that keeps its mark in memory, and what a suite cannot
//! know: marks that go back, a database that is away.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use lifecycle_adapters_postgres::{JournalFeed, LIVE_BATCHES, Postgres};
use port_contracts::feed::FeedHarness;
use port_contracts::fixtures::{commit_facts, notice, now, positions, seconds, tenant};
use ports::PortError;
use ports::feed::{Channel, Feed, Live, LiveFeed, MAX_READ, Outbox, Publisher, Told};
use ports::journal::{Fact, Position, Record};
use ports::store::Store;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::support::Fresh;

const PATIENCE: Duration = Duration::from_secs(20);

/// A bus that remembers nothing but how far it told the world.
struct Bus {
    marks: watch::Sender<Position>,
    feed: Arc<JournalFeed>,
    stop: CancellationToken,
}

impl Bus {
    fn open(postgres: Arc<Postgres>, mark: Position) -> Arc<Self> {
        let (marks, told) = watch::channel(mark);
        let bus = Self { marks, feed: JournalFeed::new(postgres), stop: CancellationToken::new() };
        let (feed, stop) = (Arc::clone(&bus.feed), bus.stop.clone());
        let mut follow = Box::pin(async move { feed.run(told, stop).await });
        // Its first mark is where it begins: it takes that now, and not when something was published already.
        assert!(follow.as_mut().now_or_never().is_none(), "it follows until it is stopped");
        tokio::spawn(follow);
        Arc::new(bus)
    }

    fn mark(&self) -> Position {
        *self.marks.borrow()
    }

    /// Until the feed has come as far as the mark.
    async fn followed(&self) {
        let mark = self.mark();
        let follow = async {
            while self.feed.top() < mark {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, follow).await.expect("the feed follows the marks");
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[async_trait]
impl Publisher for Bus {
    async fn told(&self) -> Result<Told, PortError> {
        Ok(Told { position: self.mark(), fact: None })
    }

    async fn publish(&self, mut records: Vec<Arc<Record>>) -> Result<(), PortError> {
        let mark = self.mark();
        records.retain(|record| record.position > mark);
        if !records.iter().zip(mark.0 + 1..).all(|(record, next)| record.position.0 == next) {
            return Err(PortError::Refused { what: "the bus", detail: "a gap".to_owned() });
        }
        if let Some(last) = records.last() {
            self.marks.send_replace(last.position);
        }
        self.followed().await;
        Ok(())
    }

    async fn begin_after(&self, begin: Position) -> Result<(), PortError> {
        self.marks.send_if_modified(|mark| std::mem::replace(mark, begin.max(*mark)) < begin);
        self.followed().await;
        Ok(())
    }
}

struct World {
    fresh: Fresh,
    bus: Mutex<Arc<Bus>>,
}

impl World {
    async fn open() -> Self {
        let fresh = Fresh::open().await;
        let bus = Bus::open(fresh.postgres(), Position::START);
        bus.followed().await;
        Self { fresh, bus: Mutex::new(bus) }
    }

    fn bus(&self) -> Arc<Bus> {
        Arc::clone(&self.bus.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl FeedHarness for World {
    fn publisher(&self) -> Arc<dyn Publisher> {
        self.bus()
    }

    fn feed(&self) -> Arc<dyn Feed> {
        self.bus().feed.clone()
    }

    async fn commit(&self, facts: Vec<Fact>) -> Vec<Arc<Record>> {
        let store: Arc<dyn Store> = self.fresh.postgres();
        let first = commit_facts(&store, facts).await.first_position.expect("there are facts");
        Outbox::read(self.fresh.postgres().as_ref(), Position(first.0 - 1), MAX_READ).await.expect("what was committed")
    }

    async fn reopen(&mut self) {
        let mark = self.bus().mark();
        self.fresh.close().await;
        self.fresh.open_again().await;
        let bus = Bus::open(self.fresh.postgres(), mark);
        bus.followed().await;
        self.bus = Mutex::new(bus);
    }

    fn live_capacity(&self) -> usize {
        LIVE_BATCHES
    }
}

mod suite {
    use super::World;
    port_contracts::feed_contract!(World::open().await);
}

async fn commit(world: &World, count: usize) -> Vec<Arc<Record>> {
    let at = now(&(world.fresh.postgres() as Arc<dyn Store>)).await;
    world.commit((0..count).map(|_| notice(at, "x")).collect()).await
}

async fn take(live: &mut Box<dyn LiveFeed>, count: usize) -> Vec<u64> {
    let mut taken = Vec::new();
    while taken.len() < count {
        match tokio::time::timeout(PATIENCE, live.next()).await.expect("something comes") {
            Live::Records(records) => taken.extend(positions(records.iter())),
            other => panic!("{other:?}"),
        }
    }
    taken
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_published_before_the_first_mark_is_read_and_not_handed_out() {
    let world = World::open().await;
    commit(&world, 6).await;
    let bus = Bus::open(world.fresh.postgres(), Position(4));
    let mut live = bus.feed.subscribe();
    bus.followed().await;
    bus.marks.send_replace(Position(6));
    assert_eq!(take(&mut live, 2).await, [5, 6]);
    let channel = Channel::Tenant(tenant("acme"));
    let all = bus.feed.read(&channel, Position::START, Position(99), 10).await.expect("reading");
    assert_eq!(positions(&all), [1, 2, 3, 4, 5, 6]);
}

/// It began anew at the top, and whoever listened was shown nothing of it before the next publication.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_that_is_started_again_hands_out_what_was_published_meanwhile() {
    let world = World::open().await;
    commit(&world, 3).await;
    let (marks, stop) = (watch::Sender::new(Position::START), CancellationToken::new());
    let feed = JournalFeed::new(world.fresh.postgres());
    let mut live = feed.subscribe();
    stop.cancel();
    feed.run(marks.subscribe(), stop).await;
    marks.send_replace(Position(3));
    let again = Arc::clone(&feed);
    let follow = tokio::spawn(async move { again.run(marks.subscribe(), CancellationToken::new()).await });
    assert_eq!(take(&mut live, 3).await, [1, 2, 3]);
    follow.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_that_goes_back_moves_nothing() {
    let world = World::open().await;
    let records = commit(&world, 4).await;
    let bus = world.bus();
    let mut live = bus.feed.subscribe();
    bus.publish(records).await.expect("publishing");
    assert_eq!(take(&mut live, 4).await, [1, 2, 3, 4]);
    bus.marks.send_replace(Position::START);
    commit(&world, 1).await;
    // The wiped bus is told everything again.
    for mark in 1..=5 {
        bus.marks.send_replace(Position(mark));
        assert!(bus.feed.top() >= Position(4));
    }
    assert_eq!(take(&mut live, 1).await, [5]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_outage_of_the_database_everything_is_handed_out_once() {
    let world = World::open().await;
    let bus = world.bus();
    let mut live = bus.feed.subscribe();
    let records = commit(&world, 3).await;
    bus.publish(records).await.expect("publishing");
    commit(&world, 3).await;
    world.fresh.database.psql("ALTER TABLE journal RENAME TO away");
    bus.marks.send_replace(Position(5));
    assert_eq!(take(&mut live, 3).await, [1, 2, 3]);
    // What came just now is at hand, without the database.
    let channel = Channel::Tenant(tenant("acme"));
    let recent = bus.feed.read(&channel, Position(1), Position(9), 10).await.expect("from memory");
    assert_eq!((positions(&recent), bus.feed.top()), (vec![2, 3], Position(3)));
    world.fresh.database.psql("ALTER TABLE away RENAME TO journal");
    bus.marks.send_replace(Position(6));
    assert_eq!(take(&mut live, 3).await, [4, 5, 6]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resumes_and_the_outbox_reach_back_as_far_as_is_kept() {
    let world = World::open().await;
    let store: Arc<dyn Store> = world.fresh.postgres();
    let at = now(&store).await;
    // Times go back a little between commits that run side by side.
    let ages = [900_000, 800_000, 800_001, 700_000, 604_700, 604_701, 604_699, 20, 21, 10];
    let records = world.commit(ages.iter().map(|age| notice(at - seconds(*age), "x")).collect()).await;
    world.bus().publish(records).await.expect("publishing");
    // Seven days are 604,800 s.
    assert_eq!(world.feed().floor().await.expect("the floor"), Position(4));
    assert_eq!(Outbox::begin(world.fresh.postgres().as_ref()).await.expect("its beginning"), Position(4));
    world.fresh.database.psql("UPDATE journal_head SET floor = 8");
    assert_eq!(Outbox::begin(world.fresh.postgres().as_ref()).await.expect("its beginning"), Position(8));
}
