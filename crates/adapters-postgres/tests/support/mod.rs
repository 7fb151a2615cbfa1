//! A fresh database on the shared server, with a clock that tests move, and ways to work behind the store's back.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::CampaignKey;
use lifecycle_adapters_postgres::{Postgres, PostgresSettings, migrate};
use ports::dead_letters::DeadLetters;
use ports::feed::Outbox;
use ports::instances::Instances;
use ports::leases::Leases;
use ports::query::Queries;
use ports::store::Store;
use ports::verification::Verification;
use ports::wakeups::{Hint, Sleeper, Wakeups};
use test_servers::database::{self, FreshDatabase};

/// A store that can be closed and opened again.
pub(crate) struct Fresh {
    pub(crate) database: FreshDatabase,
    pub(crate) hints: Arc<Hints>,
    /// How far the database's clock is ahead, in microseconds.
    ahead: AtomicI64,
    open: Option<Arc<Postgres>>,
}

impl Fresh {
    /// An empty one.
    pub(crate) async fn open() -> Self {
        let mut fresh = Self::closed();
        fresh.open_again().await;
        fresh
    }

    /// One whose database is there, and nobody is connected to it.
    pub(crate) fn closed() -> Self {
        Self { database: migrated(), hints: Arc::default(), ahead: AtomicI64::new(0), open: None }
    }

    pub(crate) fn settings(&self) -> PostgresSettings {
        settings(&self.database.url())
    }

    pub(crate) fn postgres(&self) -> Arc<Postgres> {
        self.open.clone().expect("it is open")
    }

    pub(crate) async fn close(&mut self) {
        let open = self.open.take().expect("it is open");
        open.close().await;
    }

    pub(crate) async fn open_again(&mut self) {
        self.open_with(self.settings()).await;
    }

    pub(crate) async fn open_with(&mut self, settings: PostgresSettings) {
        let opened = Postgres::open(settings, self.hints.clone()).await;
        self.open = Some(opened.expect("it opens"));
    }

    /// Another process on the same database.
    pub(crate) async fn another(&self) -> Arc<Postgres> {
        Postgres::open(self.settings(), Arc::new(Hints::default())).await.expect("it opens")
    }

    /// Moves the database's clock.
    pub(crate) fn move_clock(&self, by: TimeDelta) {
        let by = by.num_microseconds().expect("a few seconds");
        let ahead = self.ahead.fetch_add(by, Ordering::Relaxed) + by;
        self.database.psql(&format!(
            "CREATE OR REPLACE FUNCTION lifecycle_now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE \
             AS 'SELECT clock_timestamp() + interval ''{ahead} microseconds'''"
        ));
    }
}

/// The settings of most tests. Some let a decision wait for a sign.
pub(crate) fn settings(url: &str) -> PostgresSettings {
    let idle_in_transaction = Duration::from_secs(10);
    PostgresSettings { instance: "test".to_owned(), idle_in_transaction, ..PostgresSettings::new(url.into()) }
}

/// A database that was migrated. Must be called from a test with threads.
pub(crate) fn migrated() -> FreshDatabase {
    tokio::task::block_in_place(|| {
        database::fresh(&template(), |url| {
            let settings = settings(url);
            let done = tokio::runtime::Handle::current().block_on(migrate::up(&settings));
            assert!(!done.expect("the migrations run").is_empty());
        })
    })
}

/// Another name for each state of the migrations.
fn template() -> String {
    let mut hasher = DefaultHasher::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations/postgres")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the migrations are there") {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    for file in files {
        std::fs::read_to_string(file).expect("a readable file").hash(&mut hasher);
    }
    format!("lifecycle_{:016x}", hasher.finish())
}

/// Remembers what was announced.
#[derive(Debug, Default)]
pub(crate) struct Hints(Mutex<Vec<Hint>>);

impl Hints {
    /// What was announced since the last call.
    pub(crate) fn take(&self) -> Vec<Hint> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Wakeups for Hints {
    fn announce(&self, hint: Hint) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(hint);
    }

    fn subscribe(&self) -> Box<dyn Sleeper> {
        unreachable!("a store only announces")
    }
}

macro_rules! hands_out {
    ($harness:path { $($name:ident: $port:path),+ $(,)? } $($rest:tt)*) => {
        #[async_trait]
        impl $harness for Fresh {
            $(fn $name(&self) -> Arc<dyn $port> {
                self.postgres()
            })+
            $($rest)*
        }
    };
}

hands_out! { port_contracts::store::StoreHarness { store: Store, queries: Queries, outbox: Outbox, dead_letters: DeadLetters }
    async fn advance(&self, by: TimeDelta) {
        self.move_clock(by);
    }

    async fn reopen(&mut self) {
        self.close().await;
        self.open_again().await;
    }

    async fn spoil_campaign(&self, key: &CampaignKey) {
        let (tenant, id) = (key.tenant.as_str(), key.id.as_str());
        let spoiled = self.database.psql(&format!(
            "UPDATE campaigns SET body = '{{' WHERE tenant = '{tenant}' AND id = '{id}' RETURNING number"
        ));
        assert!(!spoiled.is_empty(), "there is no campaign {key}");
    }
}

hands_out! { port_contracts::verification::VerificationHarness { verification: Verification }
    async fn mislay_timers(&self) {
        let moved = self.database.psql(
            "UPDATE timers SET fire_at = fire_at + interval '12 days' WHERE fire_at IS NOT NULL RETURNING id",
        );
        assert!(!moved.is_empty(), "no timer is armed");
    }

    async fn tamper(&self, sql: &str) {
        self.database.psql(sql);
    }
}

hands_out! { port_contracts::dead_letters::DeadLettersHarness { dead_letters: DeadLetters }
    async fn reopen(&mut self) {
        self.close().await;
        self.open_again().await;
    }
}

hands_out! { port_contracts::instances::InstancesHarness { instances: Instances }
    async fn advance(&self, by: TimeDelta) {
        self.move_clock(by);
    }
}

hands_out! { port_contracts::leases::LeasesHarness { leases: Leases }
    async fn advance(&self, by: TimeDelta) {
        self.move_clock(by);
    }
}
