//! The wiring on servers: storage on PostgreSQL, messaging on Redis, for any number of instances.

use std::sync::Arc;

use adapters_embedded::limits::LocalRateLimiter;
use adapters_embedded::wakeups::LocalWakeups;
use adapters_postgres::{JournalFeed, OpenError, Postgres, PostgresSettings};
use adapters_redis::{ConnectError, Level, Redis, RedisSettings};
use application::{ForgetCommands, Telling};
use ports::feed::{Outbox as _, Publisher as _, Told};
use ports::journal::Position;
use ports::query::Queries as _;
use ports::upkeep::Upkeep;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Secret};
use crate::failure::{Failure, chain};
use crate::wiring::backend::{Backend, Background, Process};
use crate::wiring::limit_settings;

/// Connects to both servers.
pub(super) async fn open(config: &Config, process: &Process) -> Result<Backend, Failure> {
    let (local, stop) = (LocalWakeups::new(), CancellationToken::new());
    let (database, bus) = (database_settings(config, process)?, redis_settings(config, process)?);
    let redis = Redis::connect(bus, &stop).await?;
    for finding in redis.findings() {
        match finding.level {
            Level::Info => tracing::info!("{}", finding.text),
            Level::Warning => tracing::warn!("{}", finding.text),
        }
    }
    let wakeups = redis.wakeups(local);
    let postgres = Postgres::open(database, wakeups.clone()).await?;
    check_same_log(&redis, &postgres).await?;
    let feed = JournalFeed::new(Arc::clone(&postgres));
    let forget = ForgetCommands::new(postgres.clone(), Arc::clone(&process.clock), config.inbox.retention.0);
    let mut upkeep: Vec<Arc<dyn Upkeep>> = vec![Arc::new(forget)];
    upkeep.extend(redis.upkeep(postgres.clone()));
    upkeep.extend(postgres.upkeep(
        redis.publisher(),
        config.postgres.refresh.0,
        config.postgres.keep_log.map(|keep| keep.0),
    ));
    let limits = limit_settings(config);
    let alone = Arc::new(LocalRateLimiter::new(&limits, Arc::clone(&process.clock)));
    Ok(Backend {
        queries: postgres.clone(),
        outbox: postgres.clone(),
        publisher: redis.publisher(),
        feed: feed.clone(),
        inbound: redis.inbound(),
        dead_letters: redis.dead_letters(postgres.clone()),
        verification: postgres.clone(),
        streams: Some(redis.streams()),
        instances: postgres.clone(),
        leases: postgres.clone(),
        store: postgres.clone(),
        wakeups,
        cache: redis.cache(),
        limiter: redis.limiter(limits, alone),
        upkeep,
        background: background(&postgres, &redis, &feed),
        place: place(config),
        fresh: false,
    })
}

/// Refuses to serve with streams that were told from another log: what has their positions could not be told.
async fn check_same_log(redis: &Redis, postgres: &Postgres) -> Result<(), Failure> {
    let Told { position, fact } = redis.publisher().told().await?;
    if position == Position::START {
        return Ok(());
    }
    let there = postgres.read(Position(position.0 - 1), 1).await?;
    let head = postgres.status().await?.head;
    // A month that was taken away cannot be compared.
    let same = there.first().map_or(position <= head, |record| {
        record.position > position || fact.is_none_or(|fact| fact == record.fact.id)
    });
    if same {
        return Ok(());
    }
    Err(Failure::Unavailable(format!(
        "the streams in Redis were told up to position {position}, and the log in PostgreSQL, which ends at {head}, is not the \
         one that they were told from: it is an older copy (a restored backup?), or another one's. Check DATABASE_URL, \
         REDIS_URL and redis.prefix; if the database is right, `lifecycle replay --streams` deletes the streams, and they are \
         filled again from the log"
    )))
}

/// What the adapters themselves do all the time, and how they end.
fn background(postgres: &Arc<Postgres>, redis: &Arc<Redis>, feed: &Arc<JournalFeed>) -> Vec<Background> {
    let (marks, feed) = (redis.marks(), Arc::clone(feed));
    let follow = Background::new("feed", move |stop| {
        let (feed, marks) = (Arc::clone(&feed), marks.clone());
        async move { feed.run(marks, stop).await }
    });
    let (postgres, redis) = (Arc::clone(postgres), Arc::clone(redis));
    let connections = Background::new("connections", move |stop| {
        let (postgres, redis) = (Arc::clone(&postgres), Arc::clone(&redis));
        async move {
            stop.cancelled().await;
            redis.close().await;
            postgres.close().await;
        }
    });
    vec![follow, connections]
}

/// The database alone, for commands that look at it or repair it.
pub(super) async fn store(config: &Config, process: &Process) -> Result<Arc<Postgres>, Failure> {
    Ok(Postgres::open(database_settings(config, process)?, LocalWakeups::new()).await?)
}

/// What the streams in Redis hold, and how to let go of it.
pub(super) async fn telling(config: &Config, process: &Process, outbox: Arc<Postgres>) -> Result<Telling, Failure> {
    let redis = Redis::connect(redis_settings(config, process)?, &CancellationToken::new()).await?;
    Ok(Telling { streams: redis.streams(), outbox })
}

/// Deletes the outbound streams; the instance that relays fills them again from the log.
pub(super) async fn erase_streams(config: &Config, process: &Process) -> Result<(), Failure> {
    let redis = Redis::connect(redis_settings(config, process)?, &CancellationToken::new()).await?;
    let erased = redis.publisher().erase().await;
    redis.close().await;
    Ok(erased?)
}

/// How the database is reached.
pub(super) fn database_settings(config: &Config, process: &Process) -> Result<PostgresSettings, Failure> {
    let settings = &config.postgres;
    Ok(PostgresSettings {
        replica_url: settings.replica_url.as_ref().map(secret),
        instance: process.instance.clone(),
        writers: settings.writers,
        readers: settings.readers,
        statement: settings.statement_timeout.0,
        lock: settings.lock_timeout.0,
        resume_retention: config.websocket.resume_retention.0,
        outbox_retention: config.redis.keep_outbound.0,
        ..PostgresSettings::new(secret(settings.url.as_ref().ok_or_else(|| not_set("postgres.url", "DATABASE_URL"))?))
    })
}

fn redis_settings(config: &Config, process: &Process) -> Result<RedisSettings, Failure> {
    let settings = &config.redis;
    let url = secret(settings.url.as_ref().ok_or_else(|| not_set("redis.url", "REDIS_URL"))?);
    Ok(RedisSettings {
        prefix: settings.prefix.clone(),
        ca_file: settings.ca_file.clone(),
        allow_eviction: settings.allow_eviction,
        inbound_history: settings.keep_inbound.0,
        cache_campaigns: u32::try_from(config.cache.campaigns).unwrap_or(u32::MAX),
        ..RedisSettings::new(url, process.instance.clone())
    })
}

fn secret(secret: &Secret) -> SecretString {
    SecretString::from(secret.expose())
}

fn not_set(key: &str, variable: &str) -> Failure {
    Failure::Usage(format!(
        "{key} is not set; set {variable} to the address of the server, or for the embedded store leave both DATABASE_URL \
         and REDIS_URL away"
    ))
}

/// The servers, for people: hosts and names, never a password.
pub(super) fn place(config: &Config) -> String {
    let shown = |url: Option<&Secret>| url.map_or_else(String::new, |url| without_password(url.expose()));
    format!("{} and {}", shown(config.postgres.url.as_ref()), shown(config.redis.url.as_ref()))
}

/// Scheme, host and path of a URL.
fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let rest = rest.split('?').next().unwrap_or_default();
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}://{host}")
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let is_usage = matches!(error, OpenError::Url { .. } | OpenError::Roots { .. });
        let text = chain(&error);
        if is_usage { Self::Usage(text) } else { Self::Unavailable(text) }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let is_usage = matches!(error, ConnectError::Url(_) | ConnectError::Prefix(_) | ConnectError::CaFile { .. });
        let text = chain(&error);
        if is_usage { Self::Usage(text) } else { Self::Unavailable(text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_shown_without_user_and_password() {
        assert_eq!(without_password("postgres://u:p%40@db:5432/life?sslmode=require"), "postgres://db:5432/life");
        assert_eq!(without_password("redis://cache:6379"), "redis://cache:6379");
    }
}
