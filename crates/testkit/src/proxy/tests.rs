//! Each mode before a server that sends back what it gets.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::commit::COMMITTED;
use super::{Mode, Proxy};

/// Longer than anything takes that happens at all.
const PATIENCE: Duration = Duration::from_secs(10);

/// As long as it takes to believe that nothing happens.
const SILENCE: Duration = Duration::from_millis(200);

async fn proxy_before_an_echo() -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    Proxy::to(&[address], 1).await.expect("a proxy")
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.expect("it accepts")
}

/// Says something and waits for the same.
async fn echo(stream: &mut TcpStream, what: &[u8]) -> std::io::Result<()> {
    stream.write_all(what).await?;
    hear(stream, what).await
}

async fn hear(stream: &mut TcpStream, what: &[u8]) -> std::io::Result<()> {
    let mut heard = vec![0; what.len()];
    timeout(PATIENCE, stream.read_exact(&mut heard)).await.expect("it comes, or the connection ends")?;
    assert_eq!(heard, what);
    Ok(())
}

async fn hears_nothing(stream: &mut TcpStream) -> bool {
    timeout(SILENCE, stream.read_u8()).await.is_err()
}

#[tokio::test]
async fn a_blackhole_holds_what_was_sent_and_delivers_it_later() {
    for mode in [Mode::Blackhole, Mode::BlackholeUp, Mode::BlackholeDown] {
        let proxy = proxy_before_an_echo().await;
        let mut stream = connect(&proxy).await;
        echo(&mut stream, b"before").await.expect("it passes");
        proxy.set(mode);
        stream.write_all(b"meanwhile").await.expect("it is taken");
        assert!(hears_nothing(&mut stream).await, "{mode:?}");
        proxy.set(Mode::Pass);
        hear(&mut stream, b"meanwhile").await.expect("it arrives");
    }
}

#[tokio::test]
async fn open_connections_fall_silent_for_good_and_new_ones_pass() {
    let proxy = proxy_before_an_echo().await;
    let mut old = connect(&proxy).await;
    echo(&mut old, b"before").await.expect("it passes");
    proxy.silence();
    old.write_all(b"meanwhile").await.expect("it is taken");
    echo(&mut connect(&proxy).await, b"new").await.expect("it passes");
    assert!(hears_nothing(&mut old).await);
}

#[tokio::test]
async fn what_is_refused_or_cut_off_ends_with_a_reset() {
    let proxy = proxy_before_an_echo().await;
    let mut stream = connect(&proxy).await;
    echo(&mut stream, b"before").await.expect("it passes");
    proxy.set(Mode::Refuse);
    let error = hear(&mut stream, b"x").await.expect_err("it is cut off");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    echo(&mut connect(&proxy).await, b"x").await.expect_err("it is refused");
    proxy.set(Mode::CutAfter(10));
    let mut stream = connect(&proxy).await;
    echo(&mut stream, b"few").await.expect("it passes");
    echo(&mut stream, b"more than that").await.expect_err("it is cut off");
}

#[tokio::test]
async fn slow_links_take_their_time() {
    let proxy = proxy_before_an_echo().await;
    let mut stream = connect(&proxy).await;
    // With 100 bytes, 100 ms up and 100 ms down.
    for mode in [Mode::Latency(Duration::from_millis(100)), Mode::Bandwidth(1_000)] {
        proxy.set(mode);
        let begun = Instant::now();
        echo(&mut stream, &[7; 100]).await.expect("it passes");
        assert!(begun.elapsed() >= Duration::from_millis(200), "{mode:?}: {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn the_answer_to_a_commit_is_lost_and_no_other() {
    let proxy = proxy_before_an_echo().await;
    proxy.set(Mode::LoseCommits(100));
    let mut stream = connect(&proxy).await;
    echo(&mut stream, b"SELECT 1\0").await.expect("it passes");
    echo(&mut stream, COMMITTED).await.expect_err("it is cut off");
    assert_eq!(proxy.commits(), 1);
    proxy.set(Mode::HoldCommits(Duration::from_millis(200)));
    let mut stream = connect(&proxy).await;
    stream.write_all(COMMITTED).await.expect("it is taken");
    hear(&mut stream, COMMITTED).await.expect("it comes late");
    assert_eq!(proxy.commits(), 2);
}

#[tokio::test]
async fn new_connections_are_led_where_they_are_told() {
    let (one, other) = (proxy_before_an_echo().await, proxy_before_an_echo().await);
    let before = Proxy::to(&[], 1).await.expect("a proxy");
    echo(&mut connect(&before).await, b"x").await.expect_err("it leads nowhere");
    before.lead_to(&[one.address(), other.address()]);
    one.set(Mode::Refuse);
    let mut answered = 0;
    for _ in 0..4 {
        answered += u32::from(echo(&mut connect(&before).await, b"x").await.is_ok());
    }
    assert_eq!(answered, 2, "by turns");
}
