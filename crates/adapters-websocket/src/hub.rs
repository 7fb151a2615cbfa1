//! The hub: all connections of this instance, and the pump that feeds them. What one connection does lives elsewhere.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use failpoints::Point;
use ports::feed::Live;
use ports::journal::{Position, Record};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admission::{Admission, Seat};
use crate::connection;
use crate::goodbye::Goodbye;
use crate::planted::Planted;
use crate::routes::{Gap, Routes};
use crate::snapshots::Snapshots;
use crate::socket::Stream;
use crate::{HubDeps, HubSettings};

/// How many records are handed over at once.
const TOGETHER: usize = 64;
/// After handing over so many frames the pump lets others run.
const BREATH: usize = 256;

/// All WebSocket connections of this instance.
pub struct Hub {
    pub(crate) deps: HubDeps,
    pub(crate) settings: HubSettings,
    pub(crate) routes: Routes,
    /// Bounds how many connections read the feed or the store at once: after a restart all come within seconds.
    pub(crate) reads: Semaphore,
    pub(crate) snapshots: Snapshots,
    /// Connections are told to go when this is cancelled.
    pub(crate) stopping: CancellationToken,
    pub(crate) frames_sent: metrics::Counter,
    admission: Arc<Admission>,
    tasks: TaskTracker,
    /// Connections are dropped when this is cancelled.
    dropped: CancellationToken,
    farewells: AtomicU64,
    #[cfg(feature = "sabotage")]
    planted: std::sync::OnceLock<Planted>,
}

impl Hub {
    /// A hub without connections. It carries nothing until [`Hub::run`] runs.
    pub fn new(deps: HubDeps, settings: HubSettings) -> Arc<Self> {
        Arc::new(Self {
            routes: Routes::new(deps.feed.top()),
            reads: Semaphore::new(settings.catch_up_reads.max(1)),
            snapshots: Snapshots::default(),
            stopping: CancellationToken::new(),
            frames_sent: metrics::counter!("lifecycle_websocket_frames_sent_total"),
            admission: Arc::new(Admission::new(&settings)),
            tasks: TaskTracker::new(),
            dropped: CancellationToken::new(),
            farewells: AtomicU64::new(0),
            #[cfg(feature = "sabotage")]
            planted: std::sync::OnceLock::new(),
            deps,
            settings,
        })
    }

    /// Carries what is published to those who listen, until `shutdown` or the end of the feed. Never waits for a client.
    /// May run again after it ended: it goes on where it was.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut live = self.deps.feed.subscribe();
        // What was published before the subscription began never comes live.
        self.routes.skip_to(self.deps.feed.top());
        loop {
            let next = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                next = live.next() => next,
            };
            match next {
                Live::Records(records) => self.carry(&records).await,
                Live::Lagged => self.skip(Position::START),
                Live::Closed => return,
            }
        }
    }

    async fn carry(&self, records: &[Arc<Record>]) {
        failpoints::pass(Point::LiveRound);
        let mut handed_over = 0;
        for records in records.chunks(TOGETHER) {
            match self.routes.route(records) {
                Ok(reached) => handed_over += reached,
                Err(Gap) => self.skip(records.last().map_or(Position::START, |last| last.position)),
            }
            if handed_over >= BREATH {
                handed_over = 0;
                tokio::task::yield_now().await;
            }
        }
    }

    /// Goes on at the top, `at_least` behind this; connections read what was skipped from the feed, each its channels.
    fn skip(&self, at_least: Position) {
        metrics::counter!("lifecycle_websocket_feed_gaps_total").increment(1);
        let after = self.routes.routed();
        tracing::warn!(%after, "the WebSocket pump fell behind the feed; clients catch up by reading");
        self.routes.skip_to(self.deps.feed.top().max(at_least));
    }

    /// Asks every client to connect again elsewhere (1012) and waits for them to go, not longer than `limit`; drops
    /// those who did not. Answers how many that were. No connection is accepted afterwards.
    pub async fn close_all(&self, limit: Duration) -> usize {
        self.stopping.cancel();
        self.tasks.close();
        if timeout(limit, self.tasks.wait()).await.is_ok() {
            return 0;
        }
        let left = self.tasks.len();
        self.dropped.cancel();
        // A dropped connection ends at its next wake-up, which the cancellation is.
        let _ = timeout(Duration::from_secs(1), self.tasks.wait()).await;
        left
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.tasks.len()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Serves a client, behind its handshake, to the end: what its bytes go over, if anything, is what `opening` becomes.
    /// It counts as a connection from now on. `token` came with the handshake; with an `address` it is counted by that.
    pub fn serve<S: Stream, O: Future<Output = Option<S>> + Send>(
        self: &Arc<Self>,
        opening: O,
        token: Option<String>,
        address: Option<IpAddr>,
    ) -> impl Future<Output = ()> + Send + use<S, O> {
        let seat: Option<Seat> = self.admission.enter(address);
        let hub = Arc::clone(self);
        let dropped = self.dropped.clone();
        self.tasks.track_future(async move {
            let served = async {
                if let Some(stream) = opening.await {
                    connection::serve(hub, stream, token, seat).await;
                }
            };
            tokio::select! {
                biased;
                () = dropped.cancelled_owned() => {}
                () = served => {}
            }
        })
    }

    /// Plants `bug`, for good.
    #[cfg(feature = "sabotage")]
    pub fn plant(&self, bug: Planted) {
        let _ = self.planted.set(bug);
    }

    /// Whether `bug` is planted: never, but in a build that was made for it.
    #[cfg(feature = "sabotage")]
    pub(crate) fn has(&self, bug: Planted) -> bool {
        self.planted.get() == Some(&bug)
    }

    #[cfg(not(feature = "sabotage"))]
    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(crate) const fn has(&self, _: Planted) -> bool {
        false
    }

    /// How clients are told that the service stops: spread, so that they do not come back all at once.
    pub(crate) fn restart(&self) -> Goodbye {
        // Golden-ratio steps spread any number of clients evenly, and need no randomness.
        let step = self.farewells.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let part = u32::try_from(step >> 32).unwrap_or_default();
        let spread = u64::try_from(self.settings.reconnect_spread.as_millis()).unwrap_or(u64::MAX);
        Goodbye::restart(Duration::from_millis(spread.saturating_mul(u64::from(part)) >> 32))
    }
}
