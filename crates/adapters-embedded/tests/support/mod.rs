//! A fresh store in a folder of its own, on a clock that stands still until it is moved.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::Text;
use domain::invariants::check_campaign;
use domain::{CampaignKey, Timestamp};
use lifecycle_adapters_embedded::clock::ManualClock;
use lifecycle_adapters_embedded::wakeups::LocalWakeups;
use lifecycle_adapters_embedded::{Embedded, EmbeddedSettings, LIVE_BATCHES};
use port_contracts::fixtures::commit_facts;
use ports::dead_letters::DeadLetters;
use ports::feed::{Feed, Outbox, Publisher};
use ports::inbound::Inbound;
use ports::journal::{Fact, Position, Record};
use ports::query::Queries;
use ports::store::Store;
use ports::verification::Verification;
use tempfile::TempDir;

/// A store that can be closed and opened again.
pub(crate) struct Fresh {
    folder: TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) wakeups: Arc<LocalWakeups>,
    open: Option<Arc<Embedded>>,
}

impl Fresh {
    /// An empty one.
    pub(crate) fn open() -> Self {
        let start = Timestamp::from_timestamp(1_800_000_000, 0).expect("a date in 2027");
        let mut fresh = Self {
            folder: TempDir::new().expect("a folder"),
            clock: Arc::new(ManualClock::new(start)),
            wakeups: LocalWakeups::new(),
            open: None,
        };
        fresh.open_again();
        fresh
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("data").join("lifecycle.db")
    }

    pub(crate) fn embedded(&self) -> Arc<Embedded> {
        self.open.clone().expect("it is open")
    }

    /// Lets go of the file. The caller must have let go of everything that it got from here.
    pub(crate) fn close(&mut self) {
        let open = self.open.take().expect("it is open");
        assert_eq!(Arc::strong_count(&open), 1, "somebody still holds the store");
    }

    pub(crate) fn open_again(&mut self) {
        let (clock, wakeups) = (self.clock.clone(), self.wakeups.clone());
        let opened = Embedded::open(&self.path(), EmbeddedSettings::default(), clock, wakeups);
        self.open = Some(opened.expect("it opens"));
    }

    /// A connection behind the store's back.
    pub(crate) fn intruder(&self) -> SqliteConnection {
        SqliteConnection::establish(self.path().to_str().expect("UTF-8")).expect("a connection")
    }
}

/// Checks that the chain holds, without gaps, and every campaign's invariants; answers how many campaigns there are, where the
/// chain ends, and with which hash.
pub(crate) async fn assert_sound(embedded: &Arc<Embedded>) -> (usize, Position, String) {
    let chain = embedded.check_chain(Position::START, "", 100_000).await.expect("checking");
    assert_eq!((chain.faults, chain.done), (Vec::new(), true));
    assert_eq!(chain.last.0, chain.checked, "positions have no gap");
    let files = embedded.case_files(None, 1_000).await.expect("reading");
    for file in &files {
        let stored = file.stored.as_ref().expect("a readable campaign");
        let log = file.log.as_ref().expect("a readable log");
        assert_eq!(check_campaign(stored, log, &file.pending, &file.failed), []);
        assert_eq!(file.faults, []);
    }
    (files.len(), chain.last, chain.hash)
}

macro_rules! hands_out {
    ($harness:path { $($name:ident: $port:path),+ $(,)? } $($rest:tt)*) => {
        #[async_trait]
        impl $harness for Fresh {
            $(fn $name(&self) -> Arc<dyn $port> {
                self.embedded()
            })+
            $($rest)*
        }
    };
}

hands_out! { port_contracts::store::StoreHarness { store: Store, queries: Queries, outbox: Outbox, dead_letters: DeadLetters }
    async fn advance(&self, by: TimeDelta) {
        self.clock.advance(by);
    }

    async fn reopen(&mut self) {
        self.close();
        self.open_again();
    }

    async fn spoil_campaign(&self, key: &CampaignKey) {
        let spoiled = sql_query("UPDATE campaigns SET body = '{' WHERE tenant = ? AND id = ?")
            .bind::<Text, _>(key.tenant.as_str())
            .bind::<Text, _>(key.id.as_str())
            .execute(&mut self.intruder());
        assert_eq!(spoiled, Ok(1));
    }
}

hands_out! { port_contracts::verification::VerificationHarness { verification: Verification }
    async fn mislay_timers(&self) {
        let moved = sql_query("UPDATE timers SET fire_at = fire_at + 1000000000000 WHERE fire_at IS NOT NULL");
        assert!(moved.execute(&mut self.intruder()).is_ok_and(|rows| rows > 0));
    }

    async fn tamper(&self, sql: &str) {
        self.intruder().batch_execute(sql).expect("tampering");
    }
}

hands_out! { port_contracts::dead_letters::DeadLettersHarness { dead_letters: DeadLetters }
    async fn reopen(&mut self) {
        self.close();
        self.open_again();
    }
}

hands_out! { port_contracts::inbound::InboundHarness { inbound: Inbound }
    async fn advance(&self, by: TimeDelta) {
        self.clock.advance(by);
    }

    async fn reopen(&mut self) {
        self.close();
        self.open_again();
    }
}

hands_out! { port_contracts::feed::FeedHarness { publisher: Publisher, feed: Feed }
    async fn commit(&self, facts: Vec<Fact>) -> Vec<Arc<Record>> {
        let store: Arc<dyn Store> = self.embedded();
        let receipt = commit_facts(&store, facts).await;
        let first = receipt.first_position.expect("there are facts");
        let after = Position(first.0 - 1);
        Outbox::read(self.embedded().as_ref(), after, ports::feed::MAX_READ).await.expect("what was committed")
    }

    async fn reopen(&mut self) {
        self.close();
        self.open_again();
    }

    fn live_capacity(&self) -> usize {
        LIVE_BATCHES
    }
}
