//! Thousands of WebSocket clients in one thread: how long after something happened each of them hears of it, and whether
//! each hears it once and in order.

mod client;
mod frames;
mod messages;
mod tally;

use std::cell::RefCell;
use std::io::Write as _;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::latency::Percentiles;
use tally::Tally;

/// How long clients may take to connect and subscribe.
const PATIENCE: Duration = Duration::from_mins(1);
/// What is still on its way comes within this; nothing comes twice later.
const AFTERMATH: Duration = Duration::from_millis(300);

/// What to be.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Such as `ws://127.0.0.1:8080/ws`.
    #[arg(long)]
    url: String,
    /// Sent with the handshake.
    #[arg(long)]
    token: Option<String>,
    #[arg(long)]
    clients: usize,
    /// One channel each: the n-th client listens to the n-th, or begins again at the first.
    #[arg(long, required_unless_present = "peer")]
    channel: Vec<String>,
    /// How many events each client is to hear.
    #[arg(long)]
    expected: usize,
    /// For how many seconds to listen at most.
    #[arg(long)]
    seconds: u64,
    /// Speak with the program that the service is compared with.
    #[arg(long)]
    peer: bool,
}

/// The first line: everybody listens.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ready {
    /// From the first connect to the last subscription.
    pub(crate) seconds: f64,
    /// How many do.
    pub(crate) clients: usize,
    /// Why one does not.
    pub(crate) reason: Option<String>,
}

/// The second line: what they heard.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Heard {
    /// From the instant at which something was due, or sent by a peer, to its frame.
    pub(crate) due: Percentiles,
    /// From the instant that the frame tells; the same as `due` for a peer.
    pub(crate) told: Percentiles,
    /// Frames of any kind.
    pub(crate) frames: u64,
    /// Events, all clients together.
    pub(crate) events: u64,
    pub(crate) expected: u64,
    /// Of the clients that heard least and most.
    pub(crate) fewest: usize,
    pub(crate) most: usize,
    /// Frames that came again, or before an earlier one.
    pub(crate) disordered: u64,
    /// Clients whose connection ended, with the reason of one.
    pub(crate) gone: usize,
    pub(crate) reason: Option<String>,
}

impl Heard {
    /// Whether every client heard everything once and in order.
    pub(crate) fn is_whole(&self) -> bool {
        self.events == self.expected && self.fewest == self.most && self.disordered == 0 && self.gone == 0
    }
}

/// Connects all at once, listens, and tells what was heard.
pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let arguments = Rc::new(arguments);
    crate::process::allow_files(arguments.clients + 100)?;
    let tally = Rc::new(RefCell::new(Tally::new(&arguments)?));
    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for number in 0..arguments.clients {
        clients.spawn_local(client::connect(Rc::clone(&arguments), number, Rc::clone(&tally)));
    }
    let mut listeners = JoinSet::new();
    let mut reason = None;
    while let Some(connected) = tokio::time::timeout(PATIENCE, clients.join_next()).await? {
        match connected? {
            Ok(client) => drop(listeners.spawn_local(client.listen())),
            Err(error) => reason = Some(format!("{error:#}")),
        }
    }
    say(&Ready { seconds: begun.elapsed().as_secs_f64(), clients: listeners.len(), reason })?;

    let end = Instant::now() + Duration::from_secs(arguments.seconds);
    while !tally.borrow().is_complete() && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(AFTERMATH).await;
    let heard = tally.borrow().heard();
    ensure!(tally.borrow().is_sound(), "a frame came before it was due, or cannot be read: {heard:?}");
    say(&heard)
}

fn say(line: &impl Serialize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, line)?;
    writeln!(out)?;
    Ok(out.flush()?)
}
