//! The wiring: the only place that names concrete adapters. What runs, and how it stops, lives in `lifecycle`.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use adapters_auth::{AuthOff, AuthSettings, DevKey, JwtAuthenticator, KeySource, SigningKey};
use adapters_embedded::cache::LocalCache;
use adapters_embedded::clock::{SystemClock, SystemIds};
use adapters_embedded::limits::{LimitSettings, LocalRateLimiter, Rate};
use adapters_embedded::wakeups::LocalWakeups;
use adapters_embedded::{Embedded, EmbeddedSettings, OpenError};
use adapters_http::{Api, HttpSettings, Peer};
use adapters_websocket::{Hub, HubDeps, HubSettings};
use application::{
    CommandSettings, CommandWorker, Commands, Consumer, ConsumerParts, ConsumerSettings, DeadLetterDesk, DeskParts,
    HealthSettings, Heartbeat, Heartbeats, Housekeeper, InstanceInfo, Notices, Policies, Reads, Recovery,
    RecoveryParts, Relay, System, SystemParts, TimerSettings, Timers,
};
use domain::TenantId;
use ports::auth::Authenticator;
use ports::cache::Cache;
use ports::clock::{Clock, Ids};
use ports::dead_letters::DeadLetters;
use ports::verification::Verification;
use ports::wakeups::Wakeups;
use secrecy::SecretString;
use warp::Filter as _;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::config::{Auth, AuthMode, Config};
use crate::failure::{Failure, chain};
use crate::usage::Usage;

/// The time and the ids that every command works with.
pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

/// Everything that a serving process consists of, not yet running.
pub(crate) struct Service {
    /// All routes, HTTP and WebSocket.
    pub(crate) routes: BoxedFilter<(Response,)>,
    /// The live connections.
    pub(crate) hub: Arc<Hub>,
    /// Knows how the service is doing.
    pub(crate) system: Arc<System>,
    /// The loops.
    pub(crate) loops: Loops,
    /// Writes down that the process came and went.
    pub(crate) notices: Notices,
    /// This process.
    pub(crate) instance: InstanceInfo,
    /// Proofs on the same store.
    pub(crate) verification: Arc<dyn Verification>,
    /// Whether the data file was made just now.
    pub(crate) fresh: bool,
}

/// The loops that keep the service going, each with its sign of life.
pub(crate) struct Loops {
    pub(crate) commands: CommandWorker,
    pub(crate) timers: Arc<Timers>,
    pub(crate) timers_heartbeat: Heartbeat,
    pub(crate) recovery: Arc<Recovery>,
    pub(crate) relay: Arc<Relay>,
    pub(crate) relay_heartbeat: Heartbeat,
    pub(crate) consumer: Arc<Consumer>,
    pub(crate) consumer_heartbeat: Heartbeat,
    pub(crate) housekeeper: Arc<Housekeeper>,
    pub(crate) housekeeper_heartbeat: Heartbeat,
    pub(crate) live_heartbeat: Heartbeat,
    pub(crate) clock: Arc<dyn Clock>,
}

/// The parts that serving and working offline have in common.
struct Core {
    store: Arc<Embedded>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    wakeups: Arc<dyn Wakeups>,
    cache: Arc<dyn Cache>,
    policies: Arc<Policies>,
    commands: Arc<Commands>,
    notices: Notices,
    desk: Arc<DeadLetterDesk>,
}

impl Core {
    fn open(config: &Config) -> Result<(Self, CommandWorker), Failure> {
        let (clock, ids): (Arc<dyn Clock>, Arc<dyn Ids>) = (clock(), Arc::new(SystemIds));
        let wakeups: Arc<dyn Wakeups> = LocalWakeups::new();
        let settings = EmbeddedSettings { resume_retention: config.websocket.resume_retention.0 };
        let store = Embedded::open(&config.embedded.path, settings, Arc::clone(&clock), Arc::clone(&wakeups))
            .map_err(|error| cannot_open(&error))?;
        let cache: Arc<dyn Cache> = Arc::new(LocalCache::new(config.cache.campaigns, config.cache.bytes));
        let policies = Arc::new(policies(config)?);
        let (commands, worker) = Commands::new(
            store.clone(),
            store.clone(),
            Arc::clone(&cache),
            Arc::clone(&ids),
            Arc::clone(&policies),
            CommandSettings { queue: config.commands.queue, batch: config.commands.batch },
        );
        let commands = Arc::new(commands);
        let notices = Notices::new(store.clone(), Arc::clone(&ids));
        let desk = Arc::new(DeadLetterDesk::new(DeskParts {
            letters: store.clone(),
            inbound: store.clone(),
            commands: Arc::clone(&commands),
            notices: notices.clone(),
            clock: Arc::clone(&clock),
            ids: Arc::clone(&ids),
            pause: Duration::from_secs(1) / config.events.replay_rate,
        }));
        Ok((Self { store, clock, ids, wakeups, cache, policies, commands, notices, desk }, worker))
    }
}

/// Wires a serving process. Blocks for some milliseconds.
pub(crate) fn service(config: &Config, metrics: Arc<dyn Fn() -> String + Send + Sync>) -> Result<Service, Failure> {
    let fresh = !config.embedded.path.exists();
    let (core, commands_worker) = Core::open(config)?;
    let auth = authenticator(config, &core.clock)?;
    let heartbeats = Heartbeats::default();
    let instance = InstanceInfo {
        id: core.ids.next().to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: core.clock.now(),
    };
    let (loops, system) = loops(config, &core, commands_worker, &heartbeats, &instance);
    let hub = Hub::new(
        HubDeps {
            feed: core.store.clone(),
            queries: core.store.clone(),
            auth: Arc::clone(&auth),
            clock: Arc::clone(&core.clock),
        },
        hub_settings(config),
    );
    let api = Api {
        commands: Arc::clone(&core.commands),
        reads: Arc::new(Reads::new(core.store.clone(), Arc::clone(&core.cache))),
        desk: Arc::clone(&core.desk),
        dead_letters: core.store.clone(),
        system: Arc::clone(&system),
        policies: Arc::clone(&core.policies),
        inbound: core.store.clone(),
        auth,
        limiter: Arc::new(LocalRateLimiter::new(&limit_settings(config), Arc::clone(&core.clock))),
        clock: Arc::clone(&core.clock),
        ids: Arc::clone(&core.ids),
        metrics,
        settings: HttpSettings { token_burst: config.limits.token_burst, address_burst: config.limits.address_burst },
    };
    let address = warp::ext::optional::<Peer>().map(|peer: Option<Peer>| peer.map(|peer| peer.0.ip()));
    let live = adapters_websocket::routes(Arc::clone(&hub), address);
    let api = Arc::new(api);
    let routes = live.or(adapters_http::routes(Arc::clone(&api))).unify();
    let routes = if config.auth.mode == AuthMode::Off {
        tracing::warn!(
            "auth.mode is off: whoever reaches {} is admin of the tenant default; only for one person on one machine",
            config.http.listen
        );
        adapters_http::only_local(api).or(routes).unify().boxed()
    } else {
        routes.boxed()
    };
    Ok(Service { routes, hub, system, loops, notices: core.notices, instance, verification: core.store, fresh })
}

fn loops(
    config: &Config,
    core: &Core,
    commands: CommandWorker,
    heartbeats: &Heartbeats,
    instance: &InstanceInfo,
) -> (Loops, Arc<System>) {
    let timers_heartbeat = heartbeats.register("timers");
    let relay_heartbeat = heartbeats.register("relay");
    let consumer_heartbeat = heartbeats.register("events");
    let housekeeper_heartbeat = heartbeats.register("housekeeping");
    let live_heartbeat = heartbeats.register("live");
    let timers = Arc::new(Timers::new(
        core.store.clone(),
        Arc::clone(&core.clock),
        Arc::clone(&core.ids),
        Arc::clone(&core.wakeups),
        TimerSettings {
            batch: config.timers.batch,
            attempts: config.timers.attempts,
            back_off: config.timers.retry_first.0,
            max_back_off: config.timers.retry_max.0,
            safety_poll: config.timers.safety_poll.0,
        },
        timers_heartbeat.clone(),
    ));
    let recovery = Arc::new(Recovery::new(RecoveryParts {
        timers: Arc::clone(&timers),
        queries: core.store.clone(),
        publisher: core.store.clone(),
        inbound: core.store.clone(),
        notices: core.notices.clone(),
        clock: Arc::clone(&core.clock),
        ids: Arc::clone(&core.ids),
        timers_per_second: config.recovery.rate,
    }));
    let relay = Arc::new(Relay::new(
        core.store.clone(),
        core.store.clone(),
        Arc::clone(&core.cache),
        Arc::clone(&core.wakeups),
        Arc::clone(&core.clock),
        relay_heartbeat.clone(),
    ));
    let consumer = Arc::new(Consumer::new(
        ConsumerParts {
            inbound: core.store.clone(),
            commands: Arc::clone(&core.commands),
            dead_letters: core.store.clone(),
            clock: Arc::clone(&core.clock),
            ids: Arc::clone(&core.ids),
        },
        instance.id.clone(),
        ConsumerSettings {
            batch: config.events.batch,
            retry_window: config.events.retry_window.0,
            waiting: config.events.waiting,
            take_over_after: config.events.take_over_after.0,
        },
        consumer_heartbeat.clone(),
    ));
    let usage = Usage::new();
    let system = Arc::new(System::new(SystemParts {
        instance: instance.clone(),
        queries: core.store.clone(),
        publisher: core.store.clone(),
        inbound: core.store.clone(),
        dead_letters: core.store.clone(),
        commands: Arc::clone(&core.commands),
        heartbeats: heartbeats.clone(),
        recovery: Arc::clone(&recovery),
        usage: Arc::new(move || usage.percent()),
        clock: Arc::clone(&core.clock),
        settings: HealthSettings { max_overdue: config.health.max_overdue.0, max_unread: config.health.max_unread.0 },
    }));
    let housekeeper = Arc::new(Housekeeper::new(
        Arc::clone(&system),
        core.store.clone(),
        core.notices.clone(),
        Arc::clone(&core.clock),
        config.inbox.retention.0,
        housekeeper_heartbeat.clone(),
    ));
    let loops = Loops {
        commands,
        timers,
        timers_heartbeat,
        recovery,
        relay,
        relay_heartbeat,
        consumer,
        consumer_heartbeat,
        housekeeper,
        housekeeper_heartbeat,
        live_heartbeat,
        clock: Arc::clone(&core.clock),
    };
    (loops, system)
}

/// The dead-letter desk on a store that no other process works with.
pub(crate) struct OfflineDesk {
    pub(crate) desk: Arc<DeadLetterDesk>,
    /// Handles what the desk replays; must run.
    pub(crate) commands: CommandWorker,
}

/// Wires the desk for working without a serving process.
pub(crate) fn offline_desk(config: &Config) -> Result<OfflineDesk, Failure> {
    must_exist(&config.embedded.path)?;
    let (core, commands) = Core::open(config)?;
    Ok(OfflineDesk { desk: core.desk, commands })
}

/// The dead letters of the store, to look at; also beside a serving process.
pub(crate) fn dead_letters(config: &Config) -> Result<Arc<dyn DeadLetters>, Failure> {
    Ok(Embedded::open_offline(&config.embedded.path, clock()).map_err(|error| cannot_open(&error))?)
}

/// Proofs on the store, reading only; also beside a serving process.
pub(crate) fn verification(config: &Config) -> Result<Arc<dyn Verification>, Failure> {
    Ok(Embedded::open_offline(&config.embedded.path, clock()).map_err(|error| cannot_open(&error))?)
}

/// Proofs and repairs on a store that no other process works with.
pub(crate) fn repair(config: &Config) -> Result<Arc<dyn Verification>, Failure> {
    must_exist(&config.embedded.path)?;
    let (core, _) = Core::open(config)?;
    Ok(core.store)
}

/// A command that works on what there is must not make an empty store for a mistyped path.
fn must_exist(path: &Path) -> Result<(), Failure> {
    if path.exists() {
        return Ok(());
    }
    Err(cannot_open(&OpenError::Missing { path: path.to_owned() }))
}

fn cannot_open(error: &OpenError) -> Failure {
    let text = chain(error);
    match error {
        OpenError::Path { .. } | OpenError::Missing { .. } | OpenError::NotOurs { .. } => Failure::Usage(text),
        OpenError::Io { .. } | OpenError::InUse { .. } | OpenError::Newer { .. } | OpenError::Older { .. } => {
            Failure::Unavailable(text)
        }
        OpenError::Damaged { .. } | OpenError::Sqlite { .. } => Failure::Internal(text),
    }
}

fn policies(config: &Config) -> Result<Policies, Failure> {
    let mut tenants = std::collections::BTreeMap::new();
    for (id, tenant) in &config.tenants {
        let id = TenantId::parse(id).map_err(|error| Failure::Usage(format!("tenants.{id}: {error}")))?;
        tenants.insert(id, tenant.policy.to_domain());
    }
    Ok(Policies { base: config.policy.to_domain(), tenants })
}

fn hub_settings(config: &Config) -> HubSettings {
    let live = &config.websocket;
    HubSettings {
        origins: live.origins.clone(),
        auth_timeout: live.auth_timeout.0,
        queue: live.queue,
        slow_limit: live.slow_limit.0,
        resume_limit: live.resume_limit,
        ping_interval: live.ping_interval.0,
        max_connections: live.max_connections,
        max_per_address: live.max_connections_per_address,
        max_per_subject: live.max_connections_per_subject,
        max_subscriptions: live.max_subscriptions,
        frames_per_second: live.frames_per_second,
        frames_burst: live.frames_burst,
        ..HubSettings::default()
    }
}

fn limit_settings(config: &Config) -> LimitSettings {
    let rate = |per_second, burst| Rate {
        per_second: NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN),
        burst: NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN),
    };
    LimitSettings {
        token: rate(config.limits.token_per_second, config.limits.token_burst),
        address: rate(config.limits.address_per_second, config.limits.address_burst),
    }
}

fn authenticator(config: &Config, clock: &Arc<dyn Clock>) -> Result<Arc<dyn Authenticator>, Failure> {
    if config.auth.mode == AuthMode::Off {
        return Ok(Arc::new(AuthOff));
    }
    let mut keys = key_sources(&config.auth);
    if keys.is_empty() {
        keys.push(KeySource::Hs256Secret(data_key(config)?.secret().clone()));
    }
    let settings = AuthSettings {
        issuer: config.auth.issuer.clone(),
        audience: config.auth.audience.clone(),
        ..AuthSettings::new(keys)
    };
    let authenticator =
        JwtAuthenticator::new(settings, Arc::clone(clock)).map_err(|error| Failure::Usage(chain(&error)))?;
    Ok(Arc::new(authenticator))
}

fn key_sources(auth: &Auth) -> Vec<KeySource> {
    let secret = auth.hs256_secret.as_ref().map(|s| KeySource::Hs256Secret(SecretString::from(s.expose())));
    let public = auth.public_key_file.clone().map(KeySource::PublicKeyFile);
    let jwks = auth.jwks.as_ref().map(|text| {
        if text.contains("://") { KeySource::JwksUrl(text.clone()) } else { KeySource::JwksFile(PathBuf::from(text)) }
    });
    [secret, public, jwks].into_iter().flatten().collect()
}

/// The data folder's own key, made now if there is none.
fn data_key(config: &Config) -> Result<DevKey, Failure> {
    DevKey::load_or_create(&config.folder()).map_err(|error| Failure::Unavailable(chain(&error)))
}

/// The key that `lifecycle token` signs with: one that the service with the same settings accepts.
pub(crate) fn signing_key(config: &Config) -> Result<SigningKey, Failure> {
    let secret = match &config.auth.hs256_secret {
        Some(secret) => SecretString::from(secret.expose()),
        None if key_sources(&config.auth).is_empty() => {
            let folder = config.folder();
            std::fs::create_dir_all(&folder)
                .map_err(|error| Failure::Unavailable(format!("cannot make {}: {error}", folder.display())))?;
            data_key(config)?.secret().clone()
        }
        None => {
            return Err(Failure::Usage(
                "tokens are verified with a public key (auth.public_key_file or auth.jwks): only whoever has the private \
                 key can make them"
                    .to_owned(),
            ));
        }
    };
    SigningKey::from_secret(&secret).map_err(|error| Failure::internal(&error))
}
