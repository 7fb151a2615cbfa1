//! The server on a real socket: limits of connections and heads, keep-alive, the end.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lifecycle_adapters_http::{ServerSettings, routes, serve};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use warp::Filter as _;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::world::World;

struct Server {
    address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

async fn start_with(routes: BoxedFilter<(Response,)>, settings: ServerSettings) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(serve(listener, routes, settings, shutdown.clone()));
    Server { address, shutdown, task }
}

async fn start(settings: ServerSettings) -> Server {
    start_with(routes(World::new().api()), settings).await
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("a connection")
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.expect("the server ends well");
    }
}

/// Writes `request`, reads until the other side closes.
async fn exchange(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut response = Vec::new();
    // A reset after the answer is as good as an end.
    let _ = stream.read_to_end(&mut response).await;
    String::from_utf8_lossy(&response).into_owned()
}

/// Reads one response that has a `content-length`.
async fn read_response(stream: &mut TcpStream) -> String {
    let mut response = String::new();
    let mut byte = [0];
    while !response.ends_with("\r\n\r\n") {
        assert_eq!(stream.read(&mut byte).await.expect("read"), 1, "{response}");
        response.push(char::from(byte[0]));
    }
    let length = response.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    let mut body = vec![0; length.parse().expect("a number")];
    stream.read_exact(&mut body).await.expect("a body");
    response + &String::from_utf8_lossy(&body)
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
}

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    let server = start(ServerSettings::default()).await;
    let mut stream = server.connect().await;
    for _ in 0..3 {
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("written");
        assert!(read_response(&mut stream).await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
    let head = exchange(&mut stream, "HEAD /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    server.stop().await;
}

#[tokio::test]
async fn a_slow_head_is_cut_off() {
    let limit = Duration::from_millis(100);
    let server = start(ServerSettings { header_read_timeout: limit, ..ServerSettings::default() }).await;
    let mut stream = server.connect().await;
    let began = Instant::now();
    let response = exchange(&mut stream, "GET /livez HTTP/1.1\r\nhost: ").await;
    assert!(began.elapsed() >= limit && began.elapsed() < Duration::from_secs(3), "{response}");
    server.stop().await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_431() {
    let server = start(ServerSettings::default()).await;
    let many = "x: y\r\n".repeat(65);
    let large = format!("x: {}\r\n", "y".repeat(70 * 1024));
    for headers in [many, large] {
        let request = format!("GET /livez HTTP/1.1\r\nconnection: close\r\n{headers}\r\n");
        let response = exchange(&mut server.connect().await, &request).await;
        assert!(response.is_empty() || response.starts_with("HTTP/1.1 431 "), "{response}");
    }
    assert!(exchange(&mut server.connect().await, &get("/livez")).await.starts_with("HTTP/1.1 200 "));
    server.stop().await;
}

#[tokio::test]
async fn garbage_gets_an_answer_or_an_end_and_nothing_breaks() {
    let server = start(ServerSettings::default()).await;
    let garbage = [
        "\0\0\0\0\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "POST /api/v1/campaigns HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        "POST /api/v1/campaigns HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\n",
        "GET /livez HTTP/1.1\nbad header\n\n",
    ];
    for request in garbage {
        let response = exchange(&mut server.connect().await, request).await;
        assert!(response.is_empty() || response.starts_with("HTTP/1.1 400 "), "{request:?}: {response}");
    }
    assert!(exchange(&mut server.connect().await, &get("/livez")).await.starts_with("HTTP/1.1 200 "));
    server.stop().await;
}

#[tokio::test]
async fn a_target_without_a_path_is_400_and_no_panic() {
    let server = start(ServerSettings::default()).await;
    for target in ["CONNECT a:80", "CONNECT 127.0.0.1:80", "GET a", "GET a:80"] {
        let request = format!("{target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let response = exchange(&mut server.connect().await, &request).await;
        assert!(response.starts_with("HTTP/1.1 400 "), "{target}: {response:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn ten_mebibytes_are_413_and_the_sender_reads_it() {
    let server = start(ServerSettings::default()).await;
    let mut stream = server.connect().await;
    let length = 10 * 1024 * 1024;
    let head = format!(
        "POST /api/v1/campaigns HTTP/1.1\r\nhost: x\r\nauthorization: Bearer acme/operator\r\n\
         content-type: application/json\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("written");
    stream.write_all(&vec![b'x'; length]).await.expect("the whole body is taken");
    let response = exchange(&mut stream, "").await;
    assert!(response.starts_with("HTTP/1.1 413 "), "{response}");
    let body = response.split_once("\r\n\r\n").expect("a body").1;
    let problem: Value = serde_json::from_str(body).expect("a problem");
    assert_eq!(problem["code"], "body_too_large");
    server.stop().await;
}

#[tokio::test]
async fn bodies_that_would_take_too_much_memory_together_are_503_until_the_others_are_gone() {
    let server = start(ServerSettings::default()).await;
    let batch = 4 * 1024 * 1024;
    let head = format!(
        "POST /api/v1/campaigns/batch HTTP/1.1\r\nhost: x\r\nauthorization: Bearer acme/operator\r\n\
         content-type: application/json\r\nconnection: close\r\ncontent-length: {batch}\r\n\r\n"
    );
    let another = async || {
        let mut stream = server.connect().await;
        stream.write_all(head.as_bytes()).await.expect("written");
        let _ = stream.write_all(&vec![b' '; batch - 1]).await;
        stream
    };
    let mut stuck = Vec::new();
    for _ in 0..17 {
        stuck.push(another().await);
    }
    let small = "POST /api/v1/campaigns HTTP/1.1\r\nhost: x\r\nauthorization: Bearer acme/operator\r\n\
                 content-type: application/json\r\nconnection: close\r\ncontent-length: 200000\r\n\r\n"
        .to_owned()
        + &" ".repeat(200_000);
    // What was written may still be on its way, and of those that grow together more than one may be refused: one more each
    // time, until there is no room.
    let began = Instant::now();
    let mut answer = exchange(&mut server.connect().await, &small).await;
    while answer.starts_with("HTTP/1.1 400 ") {
        assert!(began.elapsed() < Duration::from_secs(10), "never refused");
        stuck.push(another().await);
        answer = exchange(&mut server.connect().await, &small).await;
    }
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: "), "{answer}");
    drop(stuck);
    let began = Instant::now();
    while !exchange(&mut server.connect().await, &small).await.starts_with("HTTP/1.1 400 ") {
        assert!(began.elapsed() < Duration::from_secs(10), "never served again");
    }
    server.stop().await;
}

#[tokio::test]
async fn more_connections_than_an_address_may_have_are_503_until_one_ends() {
    let settings = ServerSettings { max_connections_per_address: 2, ..ServerSettings::default() };
    let server = start(settings).await;
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    for stream in [&mut first, &mut second] {
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("written");
        read_response(stream).await;
    }
    let refused = exchange(&mut server.connect().await, "").await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains("retry-after"), "{refused}");
    drop(first);
    let deadline = Instant::now() + Duration::from_secs(5);
    while !exchange(&mut server.connect().await, &get("/livez")).await.starts_with("HTTP/1.1 200 ") {
        assert!(Instant::now() < deadline, "the place of an ended connection must become free");
    }
    server.stop().await;
}

#[tokio::test]
async fn more_connections_than_may_be_are_503() {
    let server = start(ServerSettings { max_connections: 1, ..ServerSettings::default() }).await;
    let mut first = server.connect().await;
    first.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("written");
    read_response(&mut first).await;
    let refused = exchange(&mut server.connect().await, "").await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    server.stop().await;
}

/// A route that answers after `wait`.
fn slow(wait: Duration) -> BoxedFilter<(Response,)> {
    warp::any()
        .then(move || async move {
            tokio::time::sleep(wait).await;
            Response::new("done".into())
        })
        .boxed()
}

#[tokio::test]
async fn a_stop_waits_for_open_requests_and_takes_no_new_ones() {
    let server = start_with(slow(Duration::from_millis(200)), ServerSettings::default()).await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("written");
    // The request is on its way before the stop: the server answers nothing else on this connection.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let address = server.address;
    server.shutdown.cancel();
    assert!(exchange(&mut busy, "").await.ends_with("done"));
    server.task.await.expect("the server ends well");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let settings = ServerSettings { drain: Duration::from_millis(100), ..ServerSettings::default() };
    let server = start_with(slow(Duration::from_mins(1)), settings).await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("written");
    tokio::time::sleep(Duration::from_millis(50)).await;
    let began = Instant::now();
    server.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(exchange(&mut busy, "").await.is_empty());
}

#[tokio::test]
async fn a_panic_in_a_route_ends_its_connection_only() {
    let routes = warp::path!("panic")
        .map(|| -> Response { panic!("as the test wants") })
        .or(slow(Duration::ZERO))
        .unify()
        .boxed();
    let server = start_with(routes, ServerSettings::default()).await;
    assert!(exchange(&mut server.connect().await, &get("/panic")).await.is_empty());
    assert!(exchange(&mut server.connect().await, &get("/")).await.ends_with("done"));
    server.stop().await;
}

#[tokio::test]
async fn a_route_can_take_the_connection_over() {
    let upgrade = warp::path("ws")
        .and(warp::ext::get::<hyper::upgrade::OnUpgrade>())
        .map(|on_upgrade: hyper::upgrade::OnUpgrade| {
            tokio::spawn(async move {
                let mut raw = hyper_util::rt::TokioIo::new(on_upgrade.await.expect("an upgrade"));
                raw.write_all(b"hello").await.expect("written");
                raw.shutdown().await.expect("shut down");
            });
            let response = http::Response::builder().status(101).header("upgrade", "x").header("connection", "upgrade");
            response.body("".into()).expect("a response")
        })
        .boxed();
    let server = start_with(upgrade, ServerSettings::default()).await;
    let mut stream = server.connect().await;
    let request = "GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
    let response = exchange(&mut stream, request).await;
    assert!(response.starts_with("HTTP/1.1 101 ") && response.ends_with("hello"), "{response}");
    server.stop().await;
}
