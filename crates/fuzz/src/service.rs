//! The service in this process, on an embedded store in a folder of its own: real routes, real decisions, no sockets.
//! Tokens are plain words: who may sign what is another target's.

use std::sync::Arc;
use std::time::Duration;

use adapters_embedded::cache::LocalCache;
use adapters_embedded::clock::{SystemClock, SystemIds};
use adapters_embedded::sole::Sole;
use adapters_embedded::wakeups::LocalWakeups;
use adapters_embedded::{Embedded, EmbeddedSettings};
use adapters_http::{Api, HttpSettings};
use adapters_websocket::{Hub, HubDeps, HubSettings};
use application::{
    CommandSettings, Commands, DeadLetterDesk, DeskParts, HealthSettings, Heartbeats, Notices, Policies, Reads,
    Recovery, RecoveryParts, System, SystemParts, TimerSettings, Timers,
};
use async_trait::async_trait;
use domain::{OwnerId, TenantId};
use ports::auth::{AuthError, Authenticator, Principal, Role};
use ports::clock::{Clock, Ids};
use ports::instances::Instance;
use ports::limits::{LimitKey, Permit, RateLimiter};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// The service, and the one thread that it runs in.
pub(crate) struct InProcess {
    pub(crate) store: Arc<Embedded>,
    pub(crate) api: Arc<Api>,
    pub(crate) hub: Arc<Hub>,
    runtime: Runtime,
    _folder: TempDir,
}

/// A runtime of one thread: a panic of any task is seen in it.
pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap_or_else(|error| panic!("no runtime: {error}"))
}

impl InProcess {
    /// A service on a fresh store.
    pub(crate) fn open() -> Self {
        let runtime = runtime();
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no folder: {error}"));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let wakeups = LocalWakeups::new();
        let path = folder.path().join("lifecycle.db");
        let store = Embedded::open(&path, EmbeddedSettings::default(), Arc::clone(&clock), wakeups.clone())
            .unwrap_or_else(|error| panic!("no store: {error}"));
        let auth: Arc<dyn Authenticator> = Arc::new(Words { clock: Arc::clone(&clock) });
        let hub = Hub::new(
            HubDeps { feed: store.clone(), queries: store.clone(), auth: auth.clone(), clock: clock.clone() },
            HubSettings { close_limit: Duration::from_millis(200), ..HubSettings::default() },
        );
        let api = runtime.block_on(async { api(&store, &clock, auth, wakeups) });
        Self { store, api, hub, runtime, _folder: folder }
    }

    /// Runs `future` to its end.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }
}

fn api(
    store: &Arc<Embedded>,
    clock: &Arc<dyn Clock>,
    auth: Arc<dyn Authenticator>,
    wakeups: Arc<LocalWakeups>,
) -> Arc<Api> {
    let ids: Arc<dyn Ids> = Arc::new(SystemIds);
    let policies = Arc::new(Policies::default());
    let cache = Arc::new(LocalCache::new(1_000, 1 << 22));
    let (commands, worker) = Commands::new(
        store.clone(),
        store.clone(),
        cache.clone(),
        ids.clone(),
        policies.clone(),
        CommandSettings::default(),
    );
    tokio::spawn(worker.run(CancellationToken::new()));
    let commands = Arc::new(commands);
    let heartbeats = Heartbeats::default();
    let notices = Notices::new(store.clone(), ids.clone());
    let timers = Timers::new(
        store.clone(),
        clock.clone(),
        ids.clone(),
        wakeups,
        TimerSettings::default(),
        heartbeats.register("timers"),
    );
    let recovery = Recovery::new(RecoveryParts {
        timers: Arc::new(timers),
        queries: store.clone(),
        publisher: store.clone(),
        inbound: store.clone(),
        notices: notices.clone(),
        clock: clock.clone(),
        ids: ids.clone(),
        timers_per_second: 1_000,
    });
    let system = System::new(SystemParts {
        instances: Sole::new(clock.clone()),
        instance: Instance { id: "fuzz".to_owned(), version: "0".to_owned(), started_at: clock.now() },
        queries: store.clone(),
        publisher: store.clone(),
        inbound: store.clone(),
        dead_letters: store.clone(),
        commands: commands.clone(),
        heartbeats,
        recovery: Arc::new(recovery),
        usage: Arc::new(|| (None, None)),
        patrol: Arc::new(|| None),
        clock: clock.clone(),
        settings: HealthSettings::default(),
    });
    let desk = DeadLetterDesk::new(DeskParts {
        letters: store.clone(),
        inbound: store.clone(),
        commands: commands.clone(),
        notices,
        clock: clock.clone(),
        ids: ids.clone(),
        pause: Duration::ZERO,
    });
    Arc::new(Api {
        commands,
        reads: Arc::new(Reads::new(store.clone(), cache)),
        desk: Arc::new(desk),
        dead_letters: store.clone(),
        system: Arc::new(system),
        policies,
        inbound: store.clone(),
        auth,
        limiter: Arc::new(Unlimited),
        clock: clock.clone(),
        ids,
        metrics: Arc::new(String::new),
        settings: HttpSettings { token_burst: 1, address_burst: 1 },
    })
}

/// Takes a token for what it says: `tenant/role` or `tenant/role/owner`.
struct Words {
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl Authenticator for Words {
    async fn authenticate(&self, token: &str) -> Result<Principal, AuthError> {
        let mut parts = token.split('/');
        let (Some(tenant), Some(role)) = (parts.next(), parts.next()) else { return Err(AuthError::Malformed) };
        let role = Role::ALL.into_iter().find(|known| known.as_str() == role).ok_or(AuthError::BadSignature)?;
        let owner = parts.next().map(OwnerId::parse).transpose();
        Ok(Principal {
            subject: "somebody".to_owned(),
            tenant: TenantId::parse(tenant).map_err(|_| AuthError::Claim { claim: "tenant" })?,
            roles: vec![role],
            owner: owner.map_err(|_| AuthError::Claim { claim: "owner" })?,
            expires_at: self.clock.now() + Duration::from_hours(1),
        })
    }
}

/// Inputs come faster than callers may.
struct Unlimited;

#[async_trait]
impl RateLimiter for Unlimited {
    async fn take(&self, _key: LimitKey) -> Permit {
        Permit::Granted
    }
}
