//! The wiring: the only place that names concrete adapters. What runs, and how it stops, lives in `lifecycle`.

mod backend;
mod embedded;
mod keys;
mod loops;
mod servers;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use adapters_embedded::clock::{SystemClock, SystemIds};
use adapters_http::{Api, Client, HttpSettings};
use adapters_postgres::PostgresSettings;
use adapters_websocket::{Hub, HubDeps, HubSettings};
use application::{
    CommandSettings, CommandWorker, Commands, DeadLetterDesk, DeskParts, Heartbeats, Notices, Policies, Reads,
    RepairParts, System, Telling,
};
use domain::TenantId;
use ports::clock::{Clock, Ids};
use ports::dead_letters::DeadLetters;
use ports::instances::Instance;
use ports::journal::{Actor, ActorKind};
use ports::limits::{LimitSettings, Rate};
use ports::verification::{RebuildOrder, Verification};
use warp::Filter as _;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use backend::{Backend, Process};
pub(crate) use keys::signing_key;
pub(crate) use loops::Loops;

use crate::config::{AuthMode, Config};
use crate::failure::Failure;

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
    pub(crate) instance: Instance,
    /// Proofs on the same store.
    pub(crate) verification: Arc<dyn Verification>,
    /// What was opened, for people.
    pub(crate) place: String,
    /// Whether it was made just now.
    pub(crate) fresh: bool,
}

/// The parts that serving and working offline have in common.
struct Core {
    backend: Backend,
    process: Process,
    policies: Arc<Policies>,
    commands: Arc<Commands>,
    notices: Notices,
    desk: Arc<DeadLetterDesk>,
}

impl Core {
    async fn open(config: &Config) -> Result<(Self, CommandWorker), Failure> {
        let process = process();
        let backend = Backend::open(config, &process).await?;
        let policies = Arc::new(policies(config)?);
        let (commands, worker) = Commands::new(
            Arc::clone(&backend.store),
            Arc::clone(&backend.queries),
            Arc::clone(&backend.cache),
            Arc::clone(&process.ids),
            Arc::clone(&policies),
            CommandSettings {
                queue: config.commands.queue,
                batch: config.commands.batch,
                wait: config.commands.wait.0,
            },
        );
        let commands = Arc::new(commands);
        let notices = Notices::new(Arc::clone(&backend.store), Arc::clone(&process.ids));
        let desk = Arc::new(DeadLetterDesk::new(DeskParts {
            letters: Arc::clone(&backend.dead_letters),
            inbound: Arc::clone(&backend.inbound),
            commands: Arc::clone(&commands),
            notices: notices.clone(),
            clock: Arc::clone(&process.clock),
            ids: Arc::clone(&process.ids),
            pause: Duration::from_secs(1) / config.events.replay_rate,
        }));
        Ok((Self { backend, process, policies, commands, notices, desk }, worker))
    }
}

/// This process, with a name that no other ever had.
fn process() -> Process {
    let ids: Arc<dyn Ids> = Arc::new(SystemIds);
    Process { clock: clock(), instance: ids.next().to_string(), ids }
}

/// Wires a serving process.
pub(crate) async fn service(
    config: &Config,
    metrics: Arc<dyn Fn() -> String + Send + Sync>,
) -> Result<Service, Failure> {
    let (mut core, commands_worker) = Core::open(config).await?;
    let auth = keys::authenticator(config, &core.process.clock)?;
    let instance = Instance {
        id: core.process.instance.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: core.process.clock.now(),
    };
    let background = std::mem::take(&mut core.backend.background);
    let (loops, system) = loops::wire(config, &core, commands_worker, background, &instance);
    let Core { backend, process, policies, commands, notices, desk } = core;
    let hub = Hub::new(
        HubDeps {
            feed: backend.feed,
            queries: Arc::clone(&backend.queries),
            auth: Arc::clone(&auth),
            clock: Arc::clone(&process.clock),
        },
        hub_settings(config),
    );
    let api = Arc::new(Api {
        commands,
        reads: Arc::new(Reads::new(backend.queries, backend.cache)),
        desk,
        dead_letters: backend.dead_letters,
        system: Arc::clone(&system),
        policies,
        inbound: backend.inbound,
        auth,
        limiter: backend.limiter,
        clock: process.clock,
        ids: process.ids,
        metrics,
        settings: HttpSettings { token_burst: config.limits.token_burst, address_burst: config.limits.address_burst },
    });
    Ok(Service {
        routes: routes(config, &hub, api),
        hub,
        system,
        loops,
        notices,
        instance,
        verification: backend.verification,
        place: backend.place,
        fresh: backend.fresh,
    })
}

fn routes(config: &Config, hub: &Arc<Hub>, api: Arc<Api>) -> BoxedFilter<(Response,)> {
    let address = warp::ext::optional::<Client>().map(|client: Option<Client>| client.map(|client| client.0));
    let live = adapters_websocket::routes(Arc::clone(hub), address);
    let routes = live.or(adapters_http::routes(Arc::clone(&api))).unify();
    if config.auth.mode == AuthMode::Off {
        tracing::warn!(
            "auth.mode is off: whoever reaches {} is admin of the tenant default; only for one person on one machine",
            config.http.listen
        );
        adapters_http::only_local(api).or(routes).unify().boxed()
    } else {
        routes.boxed()
    }
}

/// The dead-letter desk on a store that no other process works with.
pub(crate) struct OfflineDesk {
    pub(crate) desk: Arc<DeadLetterDesk>,
    /// Handles what the desk replays; must run.
    pub(crate) commands: CommandWorker,
}

/// Wires the desk for working without a serving process.
pub(crate) async fn offline_desk(config: &Config) -> Result<OfflineDesk, Failure> {
    must_be_there(config)?;
    let (core, commands) = Core::open(config).await?;
    Ok(OfflineDesk { desk: core.desk, commands })
}

/// The dead letters of the store, to look at; also beside a serving process.
pub(crate) async fn dead_letters(config: &Config) -> Result<Arc<dyn DeadLetters>, Failure> {
    if config.on_servers() {
        Ok(servers::store(config, &process()).await?)
    } else {
        Ok(embedded::look(config, &process())?)
    }
}

/// Proofs on the store, reading only; also beside a serving process.
pub(crate) async fn verification(config: &Config) -> Result<Arc<dyn Verification>, Failure> {
    if config.on_servers() {
        Ok(servers::store(config, &process()).await?)
    } else {
        Ok(embedded::look(config, &process())?)
    }
}

/// What a proof reads: the store, and what the world was told where that is kept apart and is to be compared.
pub(crate) struct Proving {
    pub(crate) verification: Arc<dyn Verification>,
    pub(crate) telling: Option<Telling>,
}

/// The whole proof, reading only; also beside a serving process.
pub(crate) async fn proving(config: &Config, with_streams: bool) -> Result<Proving, Failure> {
    if !config.on_servers() {
        return Ok(Proving { verification: embedded::look(config, &process())?, telling: None });
    }
    let store = servers::store(config, &process()).await?;
    let telling =
        if with_streams { Some(servers::telling(config, &process(), Arc::clone(&store)).await?) } else { None };
    Ok(Proving { verification: store, telling })
}

/// What a repair works with.
pub(crate) struct Repairing {
    pub(crate) parts: RepairParts,
    pub(crate) order: RebuildOrder,
}

/// Repairs: on the embedded store only while no other process works with it.
pub(crate) async fn repairing(config: &Config, reason: &str) -> Result<Repairing, Failure> {
    must_be_there(config)?;
    let (core, _) = Core::open(config).await?;
    let relay = loops::relay(&core, Heartbeats::default().register("relay"));
    let order = order(&core.process, reason);
    let Core { backend, notices, .. } = core;
    let parts = RepairParts {
        verification: backend.verification,
        streams: backend.streams,
        publisher: backend.publisher,
        relay,
        cache: backend.cache,
        notices,
    };
    Ok(Repairing { parts, order })
}

/// The store alone, to be rebuilt: on servers also while the streams are another log's.
pub(crate) async fn rebuilding(
    config: &Config,
    reason: &str,
) -> Result<(Arc<dyn Verification>, RebuildOrder), Failure> {
    must_be_there(config)?;
    let process = process();
    let order = order(&process, reason);
    if config.on_servers() {
        return Ok((servers::store(config, &process).await?, order));
    }
    Ok((embedded::open(config, &process)?.verification, order))
}

fn order(process: &Process, reason: &str) -> RebuildOrder {
    let actor = Actor { kind: ActorKind::Operator, subject: "cli".to_owned() };
    RebuildOrder { actor, reason: reason.to_owned(), ids: Arc::clone(&process.ids) }
}

/// Deletes the outbound streams, to be filled again from the log.
pub(crate) async fn erase_streams(config: &Config) -> Result<(), Failure> {
    if config.on_servers() {
        return servers::erase_streams(config, &process()).await;
    }
    Err(Failure::Usage("the embedded store has no streams: what it tells is made from the log each time".to_owned()))
}

/// How the database is reached, for migrations.
pub(crate) fn database(config: &Config) -> Result<PostgresSettings, Failure> {
    servers::database_settings(config, &process())
}

/// What the store is, for people: never with a password.
pub(crate) fn place(config: &Config) -> String {
    if config.on_servers() { servers::place(config) } else { config.embedded.path.display().to_string() }
}

fn must_be_there(config: &Config) -> Result<(), Failure> {
    if config.on_servers() { Ok(()) } else { embedded::must_exist(&config.embedded.path) }
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
        queue_bytes: live.queue_bytes,
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
