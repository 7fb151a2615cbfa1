//! The two directions of one connection.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::sleep;

use super::commit::Finder;
use super::{Link, Mode};

/// How much is passed on at once.
const PIECE: usize = 16 * 1024;

/// What both directions of a connection know.
#[derive(Default)]
struct Fate {
    passed: AtomicU64,
}

#[derive(Clone, Copy)]
enum Way {
    Up,
    Down,
}

/// Passes on until both ends are done; answers whether the connection is to be cut off.
pub(super) async fn both(client: &mut TcpStream, server: &mut TcpStream, link: &Link) -> bool {
    let fate = Fate::default();
    let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
    let up = pass(from_client, to_server, Way::Up, link, &fate);
    let down = pass(from_server, to_client, Way::Down, link, &fate);
    tokio::try_join!(up, down).is_err()
}

/// Waits until the link is in no mode that `blocks`.
pub(super) async fn until_passable(mode: &watch::Sender<Mode>, blocks: fn(Mode) -> bool) {
    // The sender lives as long as the link.
    let _ = mode.subscribe().wait_for(|mode| !blocks(*mode)).await;
}

async fn pass(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, way: Way, link: &Link, fate: &Fate) -> io::Result<()> {
    let (mut piece, mut finder) = (vec![0; PIECE], Finder::default());
    loop {
        let length = from.read(&mut piece).await?;
        // An end travels as data does.
        match way {
            Way::Up => link.up(fate, &piece[..length]).await?,
            Way::Down => link.down(fate, &piece[..length], &mut finder).await?,
        }
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&piece[..length]).await?;
    }
}

impl Link {
    /// Returns when `piece` may go up.
    async fn up(&self, fate: &Fate, piece: &[u8]) -> io::Result<()> {
        let mode = *self.mode.borrow();
        until_passable(&self.mode, Mode::swallows_up).await;
        fate.delay(mode, piece).await
    }

    /// Returns when `piece` may go down.
    async fn down(&self, fate: &Fate, piece: &[u8], finder: &mut Finder) -> io::Result<()> {
        let committed = finder.finds(piece);
        until_passable(&self.mode, Mode::swallows_down).await;
        let mode = *self.mode.borrow();
        match mode {
            Mode::LoseCommits(percent) if committed && self.happens(percent) => {
                self.commits.fetch_add(1, Ordering::Relaxed);
                return Err(cut());
            }
            Mode::HoldCommits(time) if committed => {
                self.commits.fetch_add(1, Ordering::Relaxed);
                sleep(time).await;
            }
            _ => {}
        }
        fate.delay(mode, piece).await
    }
}

impl Fate {
    async fn delay(&self, mode: Mode, piece: &[u8]) -> io::Result<()> {
        let length = piece.len() as u64;
        let passed = self.passed.fetch_add(length, Ordering::Relaxed) + length;
        match mode {
            Mode::Latency(time) => sleep(time).await,
            Mode::Bandwidth(bytes) => sleep(Duration::from_secs(length) / bytes.max(1)).await,
            Mode::CutAfter(bytes) if passed > bytes => return Err(cut()),
            _ => {}
        }
        Ok(())
    }
}

fn cut() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}
