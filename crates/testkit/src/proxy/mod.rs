//! A TCP proxy that does what networks do to connections: slow them down, swallow what goes one way or both, cut them off,
//! lose the answer to a commit. One for each link; it can be told to lead elsewhere while it runs.

mod commit;
mod mode;
mod pump;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

pub use mode::Mode;

/// A running proxy. Dropped, it accepts nothing more, and what it had open is cut off.
pub struct Proxy {
    address: SocketAddr,
    link: Arc<Link>,
    accepting: AbortHandle,
}

/// What all connections of a proxy share.
struct Link {
    /// Where it leads; more than one: by turns.
    targets: Mutex<Vec<SocketAddr>>,
    turn: AtomicUsize,
    mode: watch::Sender<Mode>,
    /// Counts how often everything was cut off.
    cuts: watch::Sender<u64>,
    /// Counts how often everything fell silent.
    silences: watch::Sender<u64>,
    /// Decides by chance; the same seed and the same traffic, the same decisions.
    chance: AtomicU64,
    /// How many answers to a commit were lost or held back.
    commits: AtomicU64,
}

impl Proxy {
    /// Listens on a free port of this machine and leads to `targets`, by turns; on no target it refuses.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn to(targets: &[SocketAddr], seed: u64) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let link = Arc::new(Link {
            targets: Mutex::new(targets.to_vec()),
            turn: AtomicUsize::new(0),
            mode: watch::Sender::new(Mode::Pass),
            cuts: watch::Sender::new(0),
            silences: watch::Sender::new(0),
            chance: AtomicU64::new(seed),
            commits: AtomicU64::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&link))).abort_handle();
        Ok(Self { address, link, accepting })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on connections, also open ones, are treated so.
    pub fn set(&self, mode: Mode) {
        self.link.mode.send_replace(mode);
        if matches!(mode, Mode::Refuse) {
            self.cut();
        }
    }

    /// Cuts off all open connections with a reset, on both sides.
    pub fn cut(&self) {
        self.link.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Nothing comes any more on what is open, and neither end hears of it; new connections are passed on.
    pub fn silence(&self) {
        self.link.silences.send_modify(|silences| *silences += 1);
    }

    /// From now on new connections lead to `targets`; open ones stay until they are cut.
    pub fn lead_to(&self, targets: &[SocketAddr]) {
        let mut known = self.link.targets();
        if *known != targets {
            *known = targets.to_vec();
        }
    }

    /// How many answers to a commit it has lost or held back.
    pub fn commits(&self) -> u64 {
        self.link.commits.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

impl Link {
    fn targets(&self) -> std::sync::MutexGuard<'_, Vec<SocketAddr>> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who is next; `None`: there is nobody.
    fn next(&self) -> Option<SocketAddr> {
        let targets = self.targets();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        (!targets.is_empty()).then(|| targets[turn % targets.len()])
    }

    /// True in so many of a hundred cases.
    fn happens(&self, percent: u8) -> bool {
        // splitmix64: the state is a counter, so it can be advanced by many at once.
        let mut z = self.chance.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % 100 < u64::from(percent)
    }
}

async fn accept(listener: TcpListener, link: Arc<Link>) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(connection(client, Arc::clone(&link)));
    }
}

/// One connection, from the client's first packet to the end.
async fn connection(mut client: TcpStream, link: Arc<Link>) {
    let (mut cuts, mut silences) = (link.cuts.subscribe(), link.silences.subscribe());
    let led = async {
        if matches!(*link.mode.borrow(), Mode::Refuse) {
            return None;
        }
        // Where packets vanish, so do those that open a connection.
        pump::until_passable(&link.mode, Mode::swallows_up).await;
        TcpStream::connect(link.next()?).await.ok()
    };
    let server = tokio::select! {
        server = led => server,
        _ = cuts.changed() => None,
    };
    let Some(mut server) = server else {
        reset(&client);
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let cut = tokio::select! {
        cut = pump::both(&mut client, &mut server, &link) => cut,
        _ = cuts.changed() => true,
        Ok(()) = silences.changed() => cuts.changed().await.is_ok(),
    };
    if cut {
        reset(&client);
        reset(&server);
    }
}

/// The connection will end with a reset and not in order.
fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy")
            .field("address", &self.address)
            .field("mode", &*self.link.mode.borrow())
            .finish_non_exhaustive()
    }
}
