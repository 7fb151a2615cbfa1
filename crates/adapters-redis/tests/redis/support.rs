//! A Redis handle with names of its own, a raw client beside it, and facts to publish.

use std::sync::Arc;
use std::time::Duration;

use domain::{Event, Status, Step, Timestamp, Trigger};
use fred::clients::Client;
use fred::interfaces::ClientLike as _;
use fred::prelude::Value;
use fred::types::config::Config;
use fred::types::{Builder, ClusterHash, CustomCommand};
use lifecycle_adapters_redis::{Redis, RedisSettings};
use port_contracts::fixtures::{fact_of, key_of, notice, owner, tenant};
use ports::inbound::RawEntry;
use ports::journal::{CampaignStep, Entry, Position, Record};
use tokio_util::sync::CancellationToken;

/// How long a condition may take to come true on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One handle to a Redis, as one process has it, and a way to look behind its back.
pub(crate) struct World {
    pub(crate) settings: RedisSettings,
    pub(crate) redis: Arc<Redis>,
    pub(crate) raw: Raw,
}

impl World {
    /// On the shared server, with names of its own.
    pub(crate) async fn fresh() -> Self {
        Self::fresh_at(&test_servers::shared::redis_url()).await
    }

    /// The same on some server.
    pub(crate) async fn fresh_at(url: &str) -> Self {
        let raw = Raw::connect(url).await;
        let number = raw.text(&["INCR", "tests"]).await;
        let mut settings = patient(url, "one");
        settings.prefix = format!("test-{number}:");
        Self::with(settings, raw).await
    }

    pub(crate) async fn with(settings: RedisSettings, raw: Raw) -> Self {
        let redis = connect(settings.clone()).await;
        Self { settings, redis, raw }
    }

    /// Another process on the same names.
    pub(crate) async fn other(&self, instance: &str) -> Arc<Redis> {
        let mut settings = self.settings.clone();
        settings.instance = instance.to_owned();
        connect(settings).await
    }

    /// Ends this process and starts the next one.
    pub(crate) async fn reopen(&mut self) {
        self.redis.close().await;
        self.redis = connect(self.settings.clone()).await;
    }

    /// The full name of a key.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.settings.prefix)
    }

    /// The ids of all entries of a stream.
    pub(crate) async fn ids(&self, stream: &str) -> Vec<String> {
        self.entries(stream).await.into_iter().map(|(id, _)| id).collect()
    }

    /// All entries of a stream with their fields.
    pub(crate) async fn entries(&self, stream: &str) -> Vec<(String, Vec<String>)> {
        let Value::Array(entries) = self.raw.call(&["XRANGE", &self.key(stream), "-", "+"]).await else {
            return Vec::new();
        };
        let entry = |entry: Value| {
            let (id, fields): (String, Vec<String>) = entry.convert().expect("an entry");
            (id, fields)
        };
        entries.into_iter().map(entry).collect()
    }
}

/// Settings that do not take a busy machine for a broken Redis.
pub(crate) fn patient(url: &str, instance: &str) -> RedisSettings {
    let mut settings = RedisSettings::new(url.to_owned().into(), instance.to_owned());
    settings.connect_timeout = Duration::from_secs(10);
    settings.cache_wait = Duration::from_secs(5);
    settings.cache_write_wait = Duration::from_secs(5);
    settings.limit_wait = Duration::from_secs(5);
    settings
}

pub(crate) async fn connect(settings: RedisSettings) -> Arc<Redis> {
    Redis::connect(settings, &CancellationToken::new()).await.expect("the server is there")
}

/// A client that says anything.
pub(crate) struct Raw(Client);

impl Raw {
    pub(crate) async fn connect(url: &str) -> Self {
        let client = Builder::from_config(Config::from_url(url).expect("an address"))
            .with_connection_config(|connection| connection.connection_timeout = PATIENCE)
            .build()
            .expect("a client");
        client.init().await.expect("the server is there");
        Self(client)
    }

    pub(crate) async fn try_call(&self, words: &[&str]) -> Result<Value, fred::error::Error> {
        let command = CustomCommand::new(words[0].to_owned(), ClusterHash::FirstKey, false);
        self.0.custom(command, words[1..].iter().map(|word| (*word).to_owned()).collect()).await
    }

    pub(crate) async fn call(&self, words: &[&str]) -> Value {
        self.try_call(words).await.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    pub(crate) async fn text(&self, words: &[&str]) -> String {
        self.call(words).await.convert().unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let holds = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, holds).await.unwrap_or_else(|_| panic!("{what} does not come true"));
}

pub(crate) fn instant() -> Timestamp {
    Timestamp::from_timestamp(1_800_000_000, 0).expect("in range")
}

/// Records of these positions: changes of status, and now and then a notice. Always the same at the same place.
pub(crate) fn records(positions: std::ops::RangeInclusive<u64>) -> Vec<Arc<Record>> {
    let record = |position| {
        let entry = if position % 5 == 0 { notice(instant(), "one").entry } else { step(position) };
        let mut fact = fact_of(&tenant("acme"), instant(), entry);
        fact.id = uuid::Uuid::from_u128(position.into());
        Arc::new(Record { position: Position(position), fact })
    };
    positions.map(record).collect()
}

fn step(sequence: u64) -> Entry {
    let event = Event::StatusChanged {
        from: Status::Created,
        to: Status::Running,
        trigger: Trigger::Operator,
        reason: None,
        timer: None,
    };
    Entry::Step(Box::new(CampaignStep {
        campaign: key_of("acme", "spring").id,
        owner: Some(owner("ada")),
        status: Status::Running,
        step: Step { sequence, at: instant(), event, armed: Vec::new() },
        cancelled: Vec::new(),
        metadata: None,
    }))
}

/// An event that can be read.
pub(crate) fn event(id: &str) -> RawEntry {
    let fields = [
        ("eventId", id),
        ("eventType", "campaign.cancelled"),
        ("timestamp", "2027-01-15T08:00:00Z"),
        ("source", "main-api"),
        ("tenant", "acme"),
        ("data", r#"{"campaignId":"spring","reason":"rain"}"#),
    ];
    RawEntry { fields: fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec() }
}
