//! What the hub is given: the ports it reads, and its limits. Where the values come from is the binary's concern.

use std::sync::Arc;
use std::time::Duration;

use ports::auth::Authenticator;
use ports::clock::Clock;
use ports::feed::Feed;
use ports::query::Queries;

/// The ports behind the hub.
#[derive(Clone)]
pub struct HubDeps {
    /// What happened, live and past.
    pub feed: Arc<dyn Feed>,
    /// What is, for snapshots.
    pub queries: Arc<dyn Queries>,
    /// Who is calling.
    pub auth: Arc<dyn Authenticator>,
    /// What time it is: when tokens expire.
    pub clock: Arc<dyn Clock>,
}

/// The hub's limits.
#[derive(Debug, Clone)]
pub struct HubSettings {
    /// Origins whose pages may connect, such as `https://console.example.com`; the page's own host always may, and so
    /// may clients that send no `Origin`. `*` allows every page.
    pub origins: Vec<String>,
    /// How long a client that brought no token may take to send `authenticate`.
    pub auth_timeout: Duration,
    /// How many bytes of frames wait for one client. A client for which more come at once is caught up from the feed.
    pub queue_bytes: usize,
    /// How long a client may stay behind the feed before it is closed as too slow (4008).
    pub slow_limit: Duration,
    /// How long one frame may take to be sent before the client is closed as too slow (4008).
    pub send_limit: Duration,
    /// How long the closing handshake may take.
    pub close_limit: Duration,
    /// How long one read of the feed, a snapshot or a check of a token may take.
    pub read_limit: Duration,
    /// How many reads run at once for clients that begin or catch up; the others wait for their turn.
    pub catch_up_reads: usize,
    /// How many missed records are replayed to a client that resumes; beyond that it gets a snapshot.
    pub resume_limit: usize,
    /// How often clients are pinged.
    pub ping_interval: Duration,
    /// After how many pings in a row without any sign of life a client is given up.
    pub missed_pongs: u32,
    /// How many connections there may be.
    pub max_connections: usize,
    /// How many connections one address may have; addresses of this machine are not counted.
    pub max_per_address: usize,
    /// How many connections one subject of a tenant may have.
    pub max_per_subject: usize,
    /// How many subscriptions one connection may have.
    pub max_subscriptions: usize,
    /// How many frames a client may send per second in the long run.
    pub frames_per_second: u32,
    /// How many frames a client may send at once.
    pub frames_burst: u32,
    /// After how many refused frames in a row a client is closed (1008).
    pub max_errors: u32,
    /// Over how long clients are asked to spread when the service stops and they connect again.
    pub reconnect_spread: Duration,
}

impl Default for HubSettings {
    fn default() -> Self {
        Self {
            origins: Vec::new(),
            auth_timeout: Duration::from_secs(5),
            queue_bytes: 256 * 1024,
            slow_limit: Duration::from_secs(15),
            send_limit: Duration::from_secs(5),
            close_limit: Duration::from_secs(2),
            read_limit: Duration::from_secs(5),
            catch_up_reads: 4,
            resume_limit: 10_000,
            ping_interval: Duration::from_secs(20),
            missed_pongs: 2,
            max_connections: 20_000,
            max_per_address: 1_000,
            max_per_subject: 10_000,
            max_subscriptions: 100,
            frames_per_second: 50,
            frames_burst: 200,
            max_errors: 10,
            reconnect_spread: Duration::from_secs(5),
        }
    }
}
