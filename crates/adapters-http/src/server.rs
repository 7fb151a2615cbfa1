//! The accept loop: connections with limits on their number, their head and their end. It serves any warp filter; what
//! the filter does lives elsewhere.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use http::header::HOST;
use http::{Request, StatusCode, Version};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::client_address::TrustedProxies;

/// Whose a request is, by address; in the extensions of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client(pub IpAddr);

/// Limits of the server.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// The most connections at once.
    pub max_connections: usize,
    /// The most connections of one address at once; those of trusted proxies are not counted so.
    pub max_connections_per_address: usize,
    /// The proxies that tell whose their requests are.
    pub trusted_proxies: TrustedProxies,
    /// How long the head of a request may take, the wait for the next request of a kept connection included.
    pub header_read_timeout: Duration,
    /// How long open requests may go on after the stop began.
    pub drain: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            max_connections_per_address: 2_000,
            trusted_proxies: TrustedProxies::default(),
            header_read_timeout: Duration::from_secs(5),
            drain: Duration::from_secs(5),
        }
    }
}

/// The most headers of one request.
pub const MAX_HEADERS: usize = 64;
/// The most bytes of a request's head.
pub const MAX_HEAD: usize = 64 * 1024;

/// What a connection over the limit is told.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Serves `routes` on `listener` until `shutdown`, then lets open requests end, for [`ServerSettings::drain`] at most.
/// Connections that were upgraded belong to whoever upgraded them.
pub async fn serve(
    listener: TcpListener,
    routes: BoxedFilter<(Response,)>,
    settings: ServerSettings,
    shutdown: CancellationToken,
) {
    let connections = Connections::new(&settings);
    let open = TaskTracker::new();
    let kill = CancellationToken::new();
    let _kill_when_dropped = kill.clone().drop_guard();
    let admit = |stream: TcpStream, address: SocketAddr| {
        let Some(place) = connections.enter(address.ip().to_canonical()) else {
            metrics::counter!("lifecycle_http_connections_refused_total").increment(1);
            // Best effort: whoever floods us need not read it.
            let _ = stream.try_write(FULL);
            return;
        };
        let connection = serve_connection(stream, address, routes.clone(), settings.clone(), shutdown.clone());
        let kill = kill.clone();
        open.spawn(async move {
            let _place = place;
            let connection = AssertUnwindSafe(connection).catch_unwind();
            match kill.run_until_cancelled(connection).await {
                Some(Ok(())) => {}
                Some(Err(_)) => error!(%address, "a connection panicked"),
                None => debug!(%address, "a connection was cut at the end of the drain"),
            }
        });
    };
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => admit(stream, address),
            Err(error) => recover_from(&error).await,
        }
    }
    // Whom the system has connected already may have sent a request, and is answered, too.
    while let Some(Ok((stream, address))) = listener.accept().now_or_never() {
        admit(stream, address);
    }
    drop(listener);
    open.close();
    if tokio::time::timeout(settings.drain, open.wait()).await.is_err() {
        info!(connections = open.len(), "cutting connections that did not end in time");
        kill.cancel();
        open.wait().await;
    }
}

/// Waits a little where accepting again at once would fail again at once.
async fn recover_from(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        return;
    }
    warn!(%error, "cannot accept connections at the moment");
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// `routes` as a service that answers whatever parses as a request. One without a path (`CONNECT host:80`) gets no
/// further: filters that ask for its path would panic. Nor does one that names no host, or several, of which a proxy may
/// have taken another one (RFC 9112, 3.2).
pub fn service<B>(
    routes: BoxedFilter<(Response,)>,
) -> impl Service<Request<B>, Response = Response, Error = Infallible, Future: Send>
where
    B: hyper::body::Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + Sync + 'static,
{
    let routes = TowerToHyperService::new(warp::service(routes));
    service_fn(move |request: Request<B>| {
        let hosts = request.headers().get_all(HOST).iter().count();
        let has_host = hosts == 1 || (hosts == 0 && request.version() < Version::HTTP_11);
        let response = (has_host && request.uri().path_and_query().is_some()).then(|| routes.call(request));
        async move {
            let Some(response) = response else {
                let mut refusal = Response::default();
                *refusal.status_mut() = StatusCode::BAD_REQUEST;
                return Ok(refusal);
            };
            Ok(response.await.unwrap_or_else(|never| match never {}))
        }
    })
}

async fn serve_connection(
    stream: TcpStream,
    address: SocketAddr,
    routes: BoxedFilter<(Response,)>,
    settings: ServerSettings,
    shutdown: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%address, %error, "a connection ended before it began");
        return;
    }
    let routes = service(routes);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let client = settings.trusted_proxies.client(address.ip(), request.headers());
        request.extensions_mut().insert(Client(client));
        routes.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_read_timeout)
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEAD)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%address, %error, "a connection ended early");
    }
}

/// Who is connected.
#[derive(Clone)]
struct Connections {
    max: usize,
    max_per_address: usize,
    trusted_proxies: TrustedProxies,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
    all: Arc<tokio::sync::Semaphore>,
}

/// A connection's place; free again when dropped.
struct Place {
    address: IpAddr,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
    gauge: metrics::Gauge,
    _one_of_all: tokio::sync::OwnedSemaphorePermit,
}

impl Connections {
    fn new(settings: &ServerSettings) -> Self {
        Self {
            max: settings.max_connections,
            max_per_address: settings.max_connections_per_address,
            trusted_proxies: settings.trusted_proxies.clone(),
            open: Arc::default(),
            all: Arc::new(tokio::sync::Semaphore::new(settings.max_connections)),
        }
    }

    /// A place for one more of `address`, if there is one.
    fn enter(&self, address: IpAddr) -> Option<Place> {
        let Ok(one_of_all) = Arc::clone(&self.all).try_acquire_owned() else {
            warn!(max = self.max, "refusing a connection: as many as may be are open");
            return None;
        };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = open.entry(address).or_default();
        if *of_address >= self.max_per_address && !self.trusted_proxies.has(address) {
            debug!(%address, max = self.max_per_address, "refusing a connection: its address has as many as it may");
            return None;
        }
        *of_address += 1;
        drop(open);
        let gauge = metrics::gauge!("lifecycle_http_connections");
        gauge.increment(1.0);
        Some(Place { address, open: Arc::clone(&self.open), gauge, _one_of_all: one_of_all })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gauge.decrement(1.0);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_address) = open.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                open.remove(&self.address);
            }
        }
    }
}
