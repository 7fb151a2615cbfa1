//! The suite of what is published, on the pair that a service on servers has: the publisher on Redis, and behind it the
//! feed that reads the journal in PostgreSQL. The suite is about what clients get: a publication here ends when the feed
//! has followed it.

use std::sync::Arc;
use std::time::Duration;

use adapters_postgres::{JournalFeed, LIVE_BATCHES, Postgres, PostgresSettings, migrate};
use async_trait::async_trait;
use futures_util::FutureExt as _;
use lifecycle_adapters_redis::{Redis, RedisPublisher, RedisSettings};
use port_contracts::feed::FeedHarness;
use port_contracts::fixtures::commit_facts;
use ports::PortError;
use ports::feed::{Feed, MAX_READ, Outbox, Publisher, Told};
use ports::journal::{Fact, Position, Record};
use ports::store::Store;
use ports::wakeups::{Hint, Sleeper, Wakeups};
use test_servers::database::{self, FreshDatabase};
use test_servers::shared;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);

/// A database, names of its own in Redis, and the process that works on both.
struct World {
    database: FreshDatabase,
    process: Process,
}

impl World {
    async fn fresh() -> Self {
        let database = tokio::task::block_in_place(|| database::fresh("lifecycle_empty", |_| ()));
        migrate::up(&database_settings(&database)).await.expect("it is migrated");
        let process = Process::open(&database).await;
        Self { database, process }
    }
}

fn database_settings(database: &FreshDatabase) -> PostgresSettings {
    PostgresSettings::new(database.url().into())
}

/// One process' connections, and what follows the marks.
struct Process {
    postgres: Arc<Postgres>,
    redis: Arc<Redis>,
    feed: Arc<JournalFeed>,
    following: JoinHandle<()>,
    stop: CancellationToken,
}

impl Process {
    async fn open(database: &FreshDatabase) -> Self {
        let stop = CancellationToken::new();
        let settings = RedisSettings {
            prefix: format!("{}:", database.name()),
            connect_timeout: Duration::from_secs(10),
            ..RedisSettings::new(shared::redis_url().into(), "one".to_owned())
        };
        let redis = Redis::connect(settings, &stop).await.expect("the server is there");
        let postgres = Postgres::open(database_settings(database), Arc::new(Nobody)).await.expect("it opens");
        let feed = JournalFeed::new(Arc::clone(&postgres));
        let mut follow = Box::pin({
            let (feed, marks, stop) = (Arc::clone(&feed), redis.marks(), stop.clone());
            async move { feed.run(marks, stop).await }
        });
        // Its first mark is where the feed begins: it takes that now, and not when something was published already.
        assert!(follow.as_mut().now_or_never().is_none(), "it follows until it is stopped");
        let following = tokio::spawn(follow);
        Self { postgres, redis, feed, following, stop }
    }

    async fn close(&mut self) {
        self.stop.cancel();
        (&mut self.following).await.expect("no panic");
        self.redis.close().await;
        self.postgres.close().await;
    }
}

/// The publisher, whose calls end when the feed has come as far as the mark.
struct Followed {
    publisher: Arc<RedisPublisher>,
    marks: watch::Receiver<Position>,
    feed: Arc<JournalFeed>,
}

impl Followed {
    async fn follow(&self) {
        let mark = *self.marks.borrow();
        let follow = async {
            while self.feed.top() < mark {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, follow).await.expect("the feed follows the marks");
    }
}

#[async_trait]
impl Publisher for Followed {
    async fn told(&self) -> Result<Told, PortError> {
        self.publisher.told().await
    }

    async fn publish(&self, records: Vec<Arc<Record>>) -> Result<(), PortError> {
        self.publisher.publish(records).await?;
        self.follow().await;
        Ok(())
    }

    async fn begin_after(&self, begin: Position) -> Result<(), PortError> {
        self.publisher.begin_after(begin).await?;
        self.follow().await;
        Ok(())
    }
}

/// Nobody waits for hints here.
struct Nobody;

impl Wakeups for Nobody {
    fn announce(&self, _: Hint) {}

    fn subscribe(&self) -> Box<dyn Sleeper> {
        unreachable!("a store only announces")
    }
}

#[async_trait]
impl FeedHarness for World {
    fn publisher(&self) -> Arc<dyn Publisher> {
        let Process { redis, feed, .. } = &self.process;
        Arc::new(Followed { publisher: redis.publisher(), marks: redis.marks(), feed: Arc::clone(feed) })
    }

    fn feed(&self) -> Arc<dyn Feed> {
        self.process.feed.clone()
    }

    async fn commit(&self, facts: Vec<Fact>) -> Vec<Arc<Record>> {
        let store: Arc<dyn Store> = self.process.postgres.clone();
        let first = commit_facts(&store, facts).await.first_position.expect("there are facts");
        let committed = Outbox::read(self.process.postgres.as_ref(), Position(first.0 - 1), MAX_READ).await;
        committed.expect("what was committed")
    }

    async fn reopen(&mut self) {
        self.process.close().await;
        self.process = Process::open(&self.database).await;
    }

    fn live_capacity(&self) -> usize {
        LIVE_BATCHES
    }
}

port_contracts::feed_contract!(World::fresh().await);
