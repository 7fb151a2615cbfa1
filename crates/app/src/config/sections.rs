//! The settings, section by section: their names, types, defaults, limits and what they mean.
//!
//! The doc comments here are the reference that users read (`lifecycle config --reference`), and the limits are those
//! that are checked at start. How settings are read from file and environment does not live here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::policy::{Policy, Tenant};
use super::servers::{Postgres, Redis};
use super::values::{Secret, Span};

/// All settings.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The HTTP server.
    pub(crate) http: Http,
    /// Live connections at `/ws`.
    pub(crate) websocket: WebSocket,
    /// The embedded store: one SQLite file, no server. Used unless `postgres.url` and `redis.url` are set.
    pub(crate) embedded: Embedded,
    /// State and timers on PostgreSQL.
    pub(crate) postgres: Postgres,
    /// Events, live push and cache on Redis.
    pub(crate) redis: Redis,
    /// Who may call. Without any key here, the data folder's own key is used; it is made at the first start.
    pub(crate) auth: Auth,
    /// Commands from HTTP.
    pub(crate) commands: Commands,
    /// The loop that fires timers.
    pub(crate) timers: Timers,
    /// Catching up after a start.
    pub(crate) recovery: Recovery,
    /// The loop that consumes inbound events, and the dead-letter queue behind it.
    pub(crate) events: Events,
    /// What is remembered of commands that were answered.
    pub(crate) inbox: Inbox,
    /// Rate limits.
    pub(crate) limits: Limits,
    /// Campaigns at hand in memory.
    pub(crate) cache: Cache,
    /// What `/readyz` calls healthy.
    pub(crate) health: Health,
    /// The proof that never ends: one instance goes over all stored data, again and again.
    pub(crate) verification: Verification,
    /// The service's log, written to the standard error stream.
    pub(crate) log: Log,
    /// The waiting times of new campaigns. A campaign keeps the policy that it was created with.
    pub(crate) policy: Policy,
    /// What tenants have different, by tenant id.
    pub(crate) tenants: BTreeMap<String, Tenant>,
}

impl Config {
    /// The folder of the data file.
    pub(crate) fn folder(&self) -> PathBuf {
        match self.embedded.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        }
    }

    /// Whether the service works on servers instead of the embedded store. Whoever sets one of them means it; that the
    /// other is missing is an error where it is needed.
    pub(crate) fn on_servers(&self) -> bool {
        self.postgres.url.is_some() || self.redis.url.is_some()
    }

    /// Whether tokens are checked with the data folder's own key.
    pub(crate) fn uses_own_key(&self) -> bool {
        let auth = &self.auth;
        let other = auth.hs256_secret.is_some() || auth.public_key_file.is_some() || auth.jwks.is_some();
        auth.mode == AuthMode::On && !other
    }
}

/// See [`Config::http`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Http {
    /// Address and port to listen on. Port 0 takes a free one.
    pub(crate) listen: SocketAddr,
    /// The most connections at once, WebSocket ones included.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) max_connections: usize,
    /// The most connections at once from one address, WebSocket ones included; those of `trusted_proxies` are not counted so.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) max_connections_per_address: usize,
    /// Addresses and networks, such as `10.0.0.0/8`, of proxies that tell in `X-Forwarded-For` whose their requests are.
    /// What others write there is not looked at. Limits per address, and the log, then go by the client's address.
    pub(crate) trusted_proxies: Vec<String>,
    /// How long a client may take to send the head of a request, and an idle connection may stay open.
    #[schemars(extend("x-min" = "100ms", "x-max" = "10m"))]
    pub(crate) header_timeout: Span,
    /// How long open requests may go on after the service was told to stop.
    #[schemars(extend("x-min" = "0s", "x-max" = "8s"))]
    pub(crate) drain: Span,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            max_connections: 12_000,
            max_connections_per_address: 2_000,
            trusted_proxies: Vec::new(),
            header_timeout: Span::seconds(5),
            drain: Span::seconds(5),
        }
    }
}

/// See [`Config::websocket`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct WebSocket {
    /// The most live connections at once; beyond it, new ones are closed with 4429.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) max_connections: usize,
    /// The most live connections of one address; addresses of this machine are not counted.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) max_connections_per_address: usize,
    /// The most live connections of one token subject.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) max_connections_per_subject: usize,
    /// The most channels that one connection may subscribe to.
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) max_subscriptions: usize,
    /// How many bytes of frames wait for one client; a client for which more come at once is caught up from the log.
    #[schemars(range(min = 8_192, max = 67_108_864))]
    pub(crate) queue_bytes: usize,
    /// How long a client may stay behind before it is closed with 4008.
    #[schemars(extend("x-min" = "1s", "x-max" = "10m"))]
    pub(crate) slow_limit: Span,
    /// How long a client without a token in its handshake may take to send one.
    #[schemars(extend("x-min" = "100ms", "x-max" = "5m"))]
    pub(crate) auth_timeout: Span,
    /// How often a silent connection is pinged; after two pings without an answer it is closed.
    #[schemars(extend("x-min" = "1s", "x-max" = "10m"))]
    pub(crate) ping_interval: Span,
    /// How many frames per second one client may send in the long run.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) frames_per_second: u32,
    /// How many frames one client may send at once.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) frames_burst: u32,
    /// The most missed records that are sent to a client that resumes; one that missed more takes the snapshot.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) resume_limit: usize,
    /// How old a cursor may be to be resumed from. The log itself is kept for ever.
    #[schemars(extend("x-min" = "0s", "x-max" = "366d"))]
    pub(crate) resume_retention: Span,
    /// The web origins whose pages may connect, as in `https://app.example.org`, or `*` for all. Pages of the same host
    /// and clients that are no browser always may.
    pub(crate) origins: Vec<String>,
}

impl Default for WebSocket {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            max_connections_per_address: 1_000,
            max_connections_per_subject: 10_000,
            max_subscriptions: 100,
            queue_bytes: 262_144,
            slow_limit: Span::seconds(15),
            auth_timeout: Span::seconds(5),
            ping_interval: Span::seconds(20),
            frames_per_second: 50,
            frames_burst: 200,
            resume_limit: 10_000,
            resume_retention: Span::seconds(7 * 86_400),
            origins: Vec::new(),
        }
    }
}

/// See [`Config::embedded`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Embedded {
    /// The data file. Its folder is made if need be and also holds the key that tokens are signed with.
    pub(crate) path: PathBuf,
}

impl Default for Embedded {
    fn default() -> Self {
        Self { path: PathBuf::from("./data/lifecycle.db") }
    }
}

/// Whether callers must show who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AuthMode {
    On,
    Off,
}

/// See [`Config::auth`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Auth {
    /// `on`: a valid token is needed. `off`: everybody is admin of the tenant `default`; accepted only while
    /// `http.listen` is a loopback address.
    pub(crate) mode: AuthMode,
    /// The secret of HS256 tokens, at least 32 bytes.
    pub(crate) hs256_secret: Option<Secret>,
    /// A file that holds the secret of HS256 tokens, instead of `hs256_secret`.
    pub(crate) hs256_secret_file: Option<PathBuf>,
    /// A PEM file with the public key of RS256, ES256 or EdDSA tokens.
    pub(crate) public_key_file: Option<PathBuf>,
    /// A JWKS document with the public keys of tokens: a file, or an `https://` address that is fetched again when keys
    /// rotate. Plain `http://` is accepted for this machine only.
    pub(crate) jwks: Option<String>,
    /// What the claim `iss` must be. Not set: it is not looked at.
    pub(crate) issuer: Option<String>,
    /// What the claim `aud` must hold. Not set: it is not looked at.
    pub(crate) audience: Option<String>,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            mode: AuthMode::On,
            hs256_secret: None,
            hs256_secret_file: None,
            public_key_file: None,
            jwks: None,
            issuer: None,
            audience: None,
        }
    }
}

/// See [`Config::commands`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Commands {
    /// How many commands may wait; beyond it, callers are told to come back later (503).
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) queue: usize,
    /// How many commands go into one commit.
    #[schemars(range(min = 1, max = 1_000))]
    pub(crate) batch: usize,
    /// How long a command may wait to be begun; beyond it, its caller is told to come back later (503). Events wait for as
    /// long as it takes.
    #[schemars(extend("x-min" = "100ms", "x-max" = "1m"))]
    pub(crate) wait: Span,
}

impl Default for Commands {
    fn default() -> Self {
        Self { queue: 10_000, batch: 500, wait: Span::seconds(3) }
    }
}

/// See [`Config::timers`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Timers {
    /// How many due timers go into one commit.
    #[schemars(range(min = 1, max = 1_000))]
    pub(crate) batch: usize,
    /// How often a timer that cannot fire is tried before it goes to the dead-letter queue.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) attempts: u32,
    /// How long to wait before the second try; each further wait is twice as long.
    #[schemars(extend("x-min" = "10ms", "x-max" = "1h"))]
    pub(crate) retry_first: Span,
    /// The longest wait between two tries.
    #[schemars(extend("x-min" = "10ms", "x-max" = "1d"))]
    pub(crate) retry_max: Span,
    /// How often to look for due timers even when nobody said that there are any.
    #[schemars(extend("x-min" = "100ms", "x-max" = "5m"))]
    pub(crate) safety_poll: Span,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            batch: 500,
            attempts: 8,
            retry_first: Span::seconds(1),
            retry_max: Span::seconds(60),
            safety_poll: Span::millis(500),
        }
    }
}

/// See [`Config::recovery`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Recovery {
    /// How many overdue timers per second are caught up with after a start, so that live traffic keeps its share.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) rate: u32,
}

impl Default for Recovery {
    fn default() -> Self {
        Self { rate: 20_000 }
    }
}

/// See [`Config::verification`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Verification {
    /// At most how many campaigns a second are checked, with their logs and timers; 0 checks none.
    #[schemars(range(min = 0, max = 500))]
    pub(crate) campaigns_per_second: usize,
    /// At most how many links of the audit chain, and as many records against the streams, are checked a second; 0 checks
    /// none, and notes no heads.
    #[schemars(range(min = 0, max = 10_000))]
    pub(crate) records_per_second: usize,
    /// How long after the beginning of one round over everything the next one begins, at the soonest.
    #[schemars(extend("x-min" = "1s", "x-max" = "30d"))]
    pub(crate) every: Span,
}

impl Default for Verification {
    fn default() -> Self {
        Self { campaigns_per_second: 50, records_per_second: 200, every: Span::seconds(600) }
    }
}

/// See [`Config::events`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Events {
    /// How many inbound events are taken at once.
    #[schemars(range(min = 1, max = 1_000))]
    pub(crate) batch: usize,
    /// How long an event that cannot be processed yet, such as an update that came before its create, is tried again
    /// before it goes to the dead-letter queue.
    #[schemars(extend("x-min" = "0s", "x-max" = "1d"))]
    pub(crate) retry_window: Span,
    /// How many events may wait so; beyond it, the oldest go to the dead-letter queue at once.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) waiting: usize,
    /// After which time events that a stopped instance had taken are taken over.
    #[schemars(extend("x-min" = "1s", "x-max" = "1h"))]
    pub(crate) take_over_after: Span,
    /// How many dead letters per second a replay of many processes.
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) replay_rate: u32,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            batch: 500,
            retry_window: Span::seconds(60),
            waiting: 10_000,
            take_over_after: Span::seconds(5),
            replay_rate: 50,
        }
    }
}

/// See [`Config::inbox`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Inbox {
    /// How long the answer to a command id is remembered: the same id again within this time has no second effect.
    #[schemars(extend("x-min" = "1h", "x-max" = "366d"))]
    pub(crate) retention: Span,
}

impl Default for Inbox {
    fn default() -> Self {
        Self { retention: Span::seconds(7 * 86_400) }
    }
}

/// See [`Config::limits`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// How many calls per second one token subject may make in the long run.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) token_per_second: u32,
    /// How many calls one token subject may make at once.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) token_burst: u32,
    /// How many calls per second without a valid token one address may make in the long run.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) address_per_second: u32,
    /// How many calls without a valid token one address may make at once.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) address_burst: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { token_per_second: 2_000, token_burst: 4_000, address_per_second: 20, address_burst: 200 }
    }
}

/// See [`Config::cache`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Cache {
    /// At most so many campaigns.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub(crate) campaigns: u64,
    /// At most about so many bytes.
    #[schemars(range(min = 65_536, max = 4_294_967_296_u64))]
    pub(crate) bytes: u64,
}

impl Default for Cache {
    fn default() -> Self {
        Self { campaigns: 10_000, bytes: 8_388_608 }
    }
}

/// See [`Config::health`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Health {
    /// The service is not ready while a timer is overdue for longer than this.
    #[schemars(extend("x-min" = "1s", "x-max" = "1d"))]
    pub(crate) max_overdue: Span,
    /// The service is not ready while an inbound event is unread for longer than this.
    #[schemars(extend("x-min" = "1s", "x-max" = "1d"))]
    pub(crate) max_unread: Span,
}

impl Default for Health {
    fn default() -> Self {
        Self { max_overdue: Span::seconds(30), max_unread: Span::seconds(120) }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Auto,
    Pretty,
    Json,
}

/// See [`Config::log`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// `pretty` for people, `json` for machines, `auto`: pretty on a terminal, JSON elsewhere.
    pub(crate) format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or filters by module as in `info,lifecycle_application=debug`.
    pub(crate) level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Auto, level: "info".to_owned() }
    }
}
