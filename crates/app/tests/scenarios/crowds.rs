//! Crowds of connections: thousands at once, hundreds that dawdle, more than the system gives files for. The service lives
//! on, its memory is bounded, and whoever asks properly is served.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use testkit::{PATIENCE, Plan, Role, Service, Token, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::{service, service_with};

const MIB: u64 = 1024 * 1024;

/// How a caller out of a crowd fared.
#[derive(Debug, PartialEq, Eq, Hash, Clone, Copy)]
enum Fared {
    Served,
    Refused,
    Cut,
}

/// Connects from an address of its own network, out of ten.
async fn connect(to: SocketAddr, n: usize) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let last = u8::try_from(n % 10).unwrap_or_default() + 1;
    socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 1, last), 0)))?;
    socket.connect(to).await
}

async fn ask(to: SocketAddr, n: usize) -> Fared {
    let asked = async {
        let mut stream = connect(to, n).await?;
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    match timeout(PATIENCE, asked).await.expect("nobody waits for ever") {
        Ok(answer) if answer.starts_with("HTTP/1.1 200") => Fared::Served,
        Ok(answer) if answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after") => Fared::Refused,
        Ok(_) | Err(_) => Fared::Cut,
    }
}

async fn crowd(to: SocketAddr, count: usize) -> [usize; 3] {
    let callers: Vec<_> = (0..count).map(|n| tokio::spawn(ask(to, n))).collect();
    let mut sums = [0; 3];
    for caller in callers {
        sums[caller.await.expect("no panic") as usize] += 1;
    }
    sums
}

/// As many sockets as this process may have, up to 10,000.
fn most_sockets() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    let most = match rustix::process::setrlimit(rustix::process::Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    usize::try_from(most.unwrap_or(u64::MAX)).unwrap_or(usize::MAX).saturating_sub(500).min(10_000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_who_connect_at_once_are_all_served_and_cost_little_memory() {
    let count = most_sockets();
    let service = service().await;
    let before = service.resident();
    let [served, refused, cut] = crowd(service.address(), count).await;
    assert_eq!((served, refused, cut), (count, 0, 0), "served, refused, cut");
    let grown = service.resident().saturating_sub(before);
    assert!(grown < 160 * MIB, "{} MiB more", grown / MIB);
    service.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_crowd_beyond_the_limit_the_rest_is_told_to_come_back() {
    let service = service_with(&[("LIFECYCLE_HTTP__MAX_CONNECTIONS", "50")]).await;
    let mut held = Vec::new();
    for n in 0..50 {
        held.push(connect(service.address(), n).await.expect("it listens"));
    }
    until("all places are taken", async || (ask(service.address(), 0).await != Fared::Served).then_some(())).await;
    let [served, _, _] = crowd(service.address(), 500).await;
    assert_eq!(served, 0, "there was no place");
    drop(held);
    until("there is a place again", async || (ask(service.address(), 0).await == Fared::Served).then_some(())).await;
    service.finish().await;
}

#[tokio::test]
async fn without_files_left_the_service_lives_on_and_serves_within_5_seconds_of_having_some() {
    let service = service().await;
    let api = service.admin();
    api.create(Plan::later("before").body()).await;
    service.allow_files(128);
    // Those who wait in the system's queue are connected as well: how many that are is its own affair.
    let mut held = Vec::new();
    for n in 0..300 {
        held.push(connect(service.address(), n).await.expect("the system connects it"));
    }
    until("the service notices", async || {
        service.log().contains("cannot accept connections at the moment").then_some(())
    })
    .await;
    drop(held);
    let began = Instant::now();
    until("it serves again", async || (ask(service.address(), 0).await == Fared::Served).then_some(())).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    api.create(Plan::later("after").body()).await;
    assert_eq!(api.all("/api/v1/campaigns").await.len(), 2);
    service.finish().await;
}

/// A dawdler: sends a part of a request, and then a byte now and then.
async fn dawdle(service: SocketAddr, n: usize, head: String) -> Duration {
    let began = Instant::now();
    let mut stream = connect(service, n).await.expect("it listens");
    let _ = stream.write_all(head.as_bytes()).await;
    let (mut reader, mut writer) = stream.into_split();
    let mut answer = Vec::new();
    let drip = async {
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::select! {
        _ = reader.read_to_end(&mut answer) => {}
        () = drip => {}
        () = tokio::time::sleep(PATIENCE) => {}
    }
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_who_dawdle_over_their_heads_are_let_go_and_nobody_else_waits() {
    let service = service_with(&[("LIFECYCLE_HTTP__HEADER_TIMEOUT", "1s")]).await;
    let api = service.admin();
    api.create(Plan::later("c").body()).await;
    let before = service.resident();
    let head = "POST /api/v1/campaigns HTTP/1.1\r\nhost: a\r\nx-slow: ".to_owned();
    let slow: Vec<_> = (0..500).map(|n| tokio::spawn(dawdle(service.address(), n, head.clone()))).collect();
    for _ in 0..50 {
        let began = Instant::now();
        api.campaign("c").await;
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
    for client in slow {
        let took = client.await.expect("no panic");
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
    let grown = service.resident().saturating_sub(before);
    assert!(grown < 64 * MIB, "{} MiB more", grown / MIB);
    service.finish().await;
}

async fn writes_without_end(service: &Service) -> u64 {
    let token = Token::of(&[Role::Admin]).mint();
    let mut stream = TcpStream::connect(service.address()).await.expect("it listens");
    let head = format!(
        "POST /api/v1/campaigns HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let chunk = format!("{:x}\r\n{}\r\n", MIB, " ".repeat(1024 * 1024));
    let mut written = 0;
    while written < 1024 * MIB && stream.write_all(chunk.as_bytes()).await.is_ok() {
        written += MIB;
    }
    written
}

#[tokio::test]
async fn a_body_of_a_gibibyte_is_cut_off_early_and_never_held() {
    let service = service().await;
    let before = service.resident();
    let taken = timeout(PATIENCE, writes_without_end(&service)).await.expect("it is cut off");
    assert!(taken <= 64 * MIB, "{} MiB were taken", taken / MIB);
    let grown = service.resident().saturating_sub(before);
    assert!(grown < 32 * MIB, "{} MiB more", grown / MIB);
    assert_eq!(service.admin().all("/api/v1/campaigns").await.len(), 0);
    service.finish().await;
}
