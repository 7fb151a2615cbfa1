//! A hub behind a real socket, and a real client library before it.

pub(crate) mod fakes;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::Request;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use lifecycle_adapters_websocket::{Hub, HubDeps, HubSettings, routes};
use ports::auth::Authenticator;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use tokio_util::sync::{CancellationToken, DropGuard};
use warp::Filter;

use fakes::{PlainTokens, RunningClock, World};

/// Longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// A token of somebody who may read everything of the tenant `acme`.
pub(crate) const VIEWER: &str = "anna_acme_viewer__3600";
/// A token of an operator of the tenant `acme`.
pub(crate) const OPERATOR: &str = "otto_acme_operator__3600";
/// A token of a viewer who sees only the campaigns of `o-1`.
pub(crate) const OWNER: &str = "olga_acme_viewer_o-1_3600";

/// A hub that runs and is served.
pub(crate) struct Server {
    pub(crate) world: Arc<World>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) address: SocketAddr,
    _stop: DropGuard,
}

impl Server {
    pub(crate) async fn start(settings: HubSettings) -> Self {
        Self::over(World::new(100_000), settings).await
    }

    pub(crate) async fn over(world: Arc<World>, settings: HubSettings) -> Self {
        Self::guarded(world, Arc::new(PlainTokens), settings).await
    }

    pub(crate) async fn guarded(world: Arc<World>, auth: Arc<dyn Authenticator>, settings: HubSettings) -> Self {
        let deps = HubDeps {
            feed: Arc::clone(&world) as _,
            queries: Arc::clone(&world) as _,
            auth,
            clock: RunningClock::new(),
        };
        let hub = Hub::new(deps, settings);
        let stop = CancellationToken::new();
        let pump = Arc::clone(&hub);
        let token = stop.clone();
        tokio::spawn(async move { pump.run(token).await });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(stop.clone().run_until_cancelled_owned(accept(listener, Arc::clone(&hub))));
        // The pump subscribes at its first poll.
        tokio::task::yield_now().await;
        Self { world, hub, address, _stop: stop.drop_guard() }
    }

    /// Connects with the token in the header.
    pub(crate) async fn connect(&self, token: &str) -> Client {
        self.connect_with(&[("authorization", &format!("Bearer {token}"))]).await.expect("a handshake").0
    }

    /// Connects, and subscribes to `channel`; gives its `subscribed` frame, too.
    pub(crate) async fn subscribed(&self, token: &str, channel: &str) -> (Client, Value) {
        let mut client = self.connect(token).await;
        client.send(json!({"action": "subscribe", "channel": channel})).await;
        let subscribed = client.expect("subscribed").await;
        (client, subscribed)
    }

    pub(crate) async fn connect_with(
        &self,
        headers: &[(&'static str, &str)],
    ) -> Result<(Client, http::HeaderMap), Error> {
        self.connect_to("/ws", headers).await
    }

    pub(crate) async fn connect_to(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<(Client, http::HeaderMap), Error> {
        let stream = TcpStream::connect(self.address).await.expect("the server listens");
        let mut request: Request<()> = format!("ws://{}{path}", self.address).into_client_request().expect("a request");
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a header"));
        }
        let (socket, response) = client_async(request, stream).await?;
        Ok((Client { socket }, response.headers().clone()))
    }
}

async fn accept(listener: TcpListener, hub: Arc<Hub>) {
    let routes = routes(hub, warp::any().map(|| None)).boxed();
    while let Ok((stream, _)) = listener.accept().await {
        let service = TowerToHyperService::new(warp::service(routes.clone()));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades();
        tokio::spawn(connection);
    }
}

/// A client.
pub(crate) struct Client {
    socket: WebSocketStream<TcpStream>,
}

impl Client {
    pub(crate) fn socket(&mut self) -> &mut WebSocketStream<TcpStream> {
        &mut self.socket
    }

    pub(crate) async fn send(&mut self, frame: Value) {
        self.send_text(&frame.to_string()).await;
    }

    pub(crate) async fn send_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.expect("the server reads");
    }

    /// The next frame, pings aside.
    pub(crate) async fn next(&mut self) -> Value {
        match self.next_or_close().await {
            Ok(frame) => frame,
            Err(close) => panic!("closed instead: {close:?}"),
        }
    }

    /// The next frame, or how the server closed.
    pub(crate) async fn next_or_close(&mut self) -> Result<Value, Option<CloseFrame>> {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("the server answers") {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).expect("JSON")),
                Some(Ok(Message::Close(frame))) => return Err(frame),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    /// The next frame, which is an `event`.
    pub(crate) async fn expect(&mut self, event: &str) -> Value {
        let frame = self.next().await;
        assert_eq!(frame["event"], event, "{frame}");
        frame
    }

    /// The next frame, which is an error with this code.
    pub(crate) async fn expect_error(&mut self, code: &str) -> Value {
        let frame = self.expect("error").await;
        assert_eq!(frame["data"]["code"], code, "{frame}");
        frame
    }

    /// Everything until the server closes, and with which code and reason.
    pub(crate) async fn until_closed(&mut self) -> (Vec<Value>, u16, String) {
        let mut frames = Vec::new();
        loop {
            match self.next_or_close().await {
                Ok(frame) => frames.push(frame),
                Err(Some(close)) => return (frames, close.code.into(), close.reason.to_string()),
                Err(None) => panic!("the connection broke without a close frame"),
            }
        }
    }

    /// With which code the server closes; nothing is sent before.
    pub(crate) async fn close_code(&mut self) -> u16 {
        let (frames, code, _) = self.until_closed().await;
        assert!(frames.is_empty(), "{frames:?}");
        code
    }

    /// Nothing comes although everything that was published has been carried.
    pub(crate) async fn expect_silence(&mut self) {
        self.send(json!({"action": "ping", "id": 4711})).await;
        let frame = self.next().await;
        assert_eq!((&frame["event"], &frame["id"]), (&json!("pong"), &json!(4711)), "{frame}");
    }
}

/// The position in a frame's cursor.
pub(crate) fn position(frame: &Value) -> u64 {
    let cursor = frame["cursor"].as_str().unwrap_or_else(|| panic!("no cursor in {frame}"));
    cursor.split_once('-').expect("position and k").0.parse().expect("a position")
}
