//! The models keep the promises of the ports: the same suites as the real adapters. What the suites mean is told in
//! `port-contracts`.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::CampaignKey;
use lifecycle_sim::{Node, Plan, SimFeed, World};
use ports::cache::Cache;
use ports::clock::{Clock, Ids};
use ports::dead_letters::DeadLetters;
use ports::feed::{Feed, Outbox, Publisher};
use ports::inbound::Inbound;
use ports::instances::Instances;
use ports::journal::{Fact, Position, Record};
use ports::leases::Leases;
use ports::query::Queries;
use ports::store::Store;
use ports::wakeups::Wakeups;

/// A calm world with one instance.
struct Fresh {
    world: Arc<World>,
    node: Arc<Node>,
    feed: Arc<SimFeed>,
    count: u64,
}

impl Fresh {
    fn open() -> Self {
        let world = World::new(Plan::calm(), false);
        let (node, feed) = Self::instance(&world, 1);
        Self { world, node, feed, count: 1 }
    }

    fn instance(world: &Arc<World>, who: u64) -> (Arc<Node>, Arc<SimFeed>) {
        let node = Node::new(world, who, TimeDelta::zero());
        let feed = SimFeed::new(node.clone());
        (node, feed)
    }

    async fn open_again(&mut self) {
        self.count += 1;
        (self.node, self.feed) = Self::instance(&self.world, self.count);
        self.feed.follow().await.expect("a calm world");
    }

    fn let_pass(&self, by: TimeDelta) {
        self.world.move_on(by);
    }
}

macro_rules! hands_out {
    ($harness:path { $($name:ident: $port:path),+ $(,)? } $($rest:tt)*) => {
        #[async_trait]
        impl $harness for Fresh {
            $(fn $name(&self) -> Arc<dyn $port> {
                self.node.clone()
            })+
            $($rest)*
        }
    };
}

hands_out! { port_contracts::store::StoreHarness { store: Store, queries: Queries, outbox: Outbox, dead_letters: DeadLetters }
    async fn advance(&self, by: TimeDelta) {
        self.let_pass(by);
    }

    async fn reopen(&mut self) {
        self.open_again().await;
    }

    async fn spoil_campaign(&self, key: &CampaignKey) {
        self.world.spoil(key);
    }
}

hands_out! { port_contracts::dead_letters::DeadLettersHarness { dead_letters: DeadLetters }
    async fn reopen(&mut self) {
        self.open_again().await;
    }
}

hands_out! { port_contracts::inbound::InboundHarness { inbound: Inbound }
    async fn advance(&self, by: TimeDelta) {
        self.let_pass(by);
    }

    async fn reopen(&mut self) {
        self.open_again().await;
    }
}

hands_out! { port_contracts::leases::LeasesHarness { leases: Leases }
    async fn advance(&self, by: TimeDelta) {
        self.let_pass(by);
    }
}

hands_out! { port_contracts::instances::InstancesHarness { instances: Instances }
    async fn advance(&self, by: TimeDelta) {
        self.let_pass(by);
    }
}

hands_out! { port_contracts::cache::CacheHarness { cache: Cache }
    fn capacity(&self) -> usize {
        300
    }

    async fn settle(&self) {}
}

#[async_trait]
impl port_contracts::feed::FeedHarness for Fresh {
    fn publisher(&self) -> Arc<dyn Publisher> {
        Arc::new(Followed { node: self.node.clone(), feed: self.feed.clone() })
    }

    fn feed(&self) -> Arc<dyn Feed> {
        self.feed.clone()
    }

    async fn commit(&self, facts: Vec<Fact>) -> Vec<Arc<Record>> {
        let count = facts.len();
        let store: Arc<dyn Store> = self.node.clone();
        let first = port_contracts::fixtures::commit_facts(&store, facts).await.first_position.expect("facts");
        Outbox::read(self.node.as_ref(), Position(first.0 - 1), count).await.expect("a calm world")
    }

    async fn reopen(&mut self) {
        self.open_again().await;
    }

    fn live_capacity(&self) -> usize {
        16
    }
}

/// A publisher whose feed has followed when it answers, as the suite expects of one process.
struct Followed {
    node: Arc<Node>,
    feed: Arc<SimFeed>,
}

#[async_trait]
impl Publisher for Followed {
    async fn told(&self) -> Result<ports::feed::Told, ports::PortError> {
        self.node.told().await
    }

    async fn publish(&self, records: Vec<Arc<Record>>) -> Result<(), ports::PortError> {
        self.node.publish(records).await?;
        self.feed.follow().await
    }

    async fn begin_after(&self, begin: Position) -> Result<(), ports::PortError> {
        self.node.begin_after(begin).await?;
        self.feed.follow().await
    }
}

#[async_trait]
impl port_contracts::clock::ClockHarness for Fresh {
    fn clock(&self) -> Arc<dyn Clock> {
        self.node.clock.clone()
    }

    async fn let_pass(&self, by: TimeDelta) {
        tokio::time::sleep(by.to_std().unwrap_or_default()).await;
    }
}

impl port_contracts::clock::IdsHarness for Fresh {
    fn ids(&self) -> Arc<dyn Ids> {
        self.node.ids.clone()
    }
}

impl port_contracts::wakeups::WakeupsHarness for Fresh {
    fn wakeups(&self) -> Arc<dyn Wakeups> {
        self.node.wakeups.clone()
    }
}

mod store {
    use super::Fresh;
    port_contracts::store_contract!(Fresh::open());
}

mod outbox {
    use super::Fresh;
    port_contracts::outbox_contract!(Fresh::open());
}

mod queries {
    use super::Fresh;
    port_contracts::queries_contract!(Fresh::open());
}

mod dead_letters {
    use super::Fresh;
    port_contracts::dead_letters_contract!(Fresh::open());
}

mod inbound {
    use super::Fresh;
    port_contracts::inbound_contract!(Fresh::open());
}

mod feed {
    use super::Fresh;
    port_contracts::feed_contract!(Fresh::open());
}

mod leases {
    use super::Fresh;
    port_contracts::leases_contract!(Fresh::open());
}

mod instances {
    use super::Fresh;
    port_contracts::instances_contract!(Fresh::open());
}

mod cache {
    use super::Fresh;
    port_contracts::cache_contract!(Fresh::open());
}

mod clock {
    use super::Fresh;
    port_contracts::clock_contract!(Fresh::open());
}

mod ids {
    use super::Fresh;
    port_contracts::ids_contract!(Fresh::open());
}

mod wakeups {
    use super::Fresh;
    port_contracts::wakeups_contract!(Fresh::open());
}
