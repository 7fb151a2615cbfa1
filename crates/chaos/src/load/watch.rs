//! Live clients: they resume where they were, at whatever instance the balancer gives them, and write down every frame.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use testkit::now_millis;
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::{Orders, plan, say};
use crate::journal::{Journal, Told, place};

pub(crate) const CLIENTS: usize = 30;

/// So many of them leave and come back at random.
const RESTLESS: usize = 10;

/// Each so manieth listens to everything, the others to a campaign each.
const OF_ALL: usize = 10;

/// How long a handshake and its answer may take.
const HANDSHAKE: Duration = Duration::from_secs(4);

/// A client that hears nothing for so long, while others do, has lost its connection without notice.
const SILENCE: Duration = Duration::from_secs(10);

/// How long at the end it waits for what is to come.
const PATIENCE: Duration = Duration::from_mins(2);

#[derive(Args)]
pub(crate) struct Arguments {
    /// Where the balancer listens.
    #[arg(long)]
    service: SocketAddr,
    #[arg(long)]
    run: String,
    #[arg(long)]
    token: String,
    #[arg(long)]
    seed: u64,
    #[arg(long)]
    journal: PathBuf,
}

struct Watchers {
    arguments: Arguments,
    journal: RefCell<Journal>,
    /// Up to where each has heard.
    heard: RefCell<Vec<u64>>,
    connected: Cell<usize>,
}

pub(super) async fn run(arguments: Arguments) -> Result<()> {
    let watchers = Rc::new(Watchers {
        journal: RefCell::new(Journal::create(&arguments.journal)?),
        arguments,
        heard: RefCell::new(vec![0; CLIENTS]),
        connected: Cell::new(0),
    });
    LocalSet::new().run_until(work(watchers)).await
}

async fn work(watchers: Rc<Watchers>) -> Result<()> {
    for number in 0..CLIENTS {
        let watchers = Rc::clone(&watchers);
        tokio::task::spawn_local(async move { watchers.client(number).await });
    }
    while watchers.connected.get() < CLIENTS {
        sleep(Duration::from_millis(10)).await;
    }
    say("ready");
    let mut orders = Orders::new();
    let order = orders.next().await?;
    let Some(ends) = order.strip_prefix("finish ") else { bail!("what is {order:?}?") };
    let ends = ends.split(' ').map(str::parse).collect::<Result<Vec<u64>, _>>()?;
    let begun = Instant::now();
    let behind = || {
        let heard = watchers.heard.borrow();
        heard.iter().enumerate().filter(|(number, heard)| **heard < end_of(*number, &ends)).count()
    };
    while behind() > 0 && begun.elapsed() < PATIENCE {
        sleep(Duration::from_millis(20)).await;
    }
    say(&format!("{} of {CLIENTS} connected, {} behind", watchers.connected.get(), behind()));
    // Ends with its input.
    let _ = orders.next().await;
    Ok(())
}

/// The last position of what a client listens to; `ends` has that of everything, and then that of each campaign.
fn end_of(number: usize, ends: &[u64]) -> u64 {
    let place = if number.is_multiple_of(OF_ALL) { 0 } else { number + 1 };
    ends.get(place).copied().unwrap_or_default()
}

impl Watchers {
    /// One client, for ever.
    async fn client(&self, number: usize) {
        let channel = if number.is_multiple_of(OF_ALL) {
            "tenant".to_owned()
        } else {
            format!("campaign:{}", plan::hot(&self.arguments.run, number as u64))
        };
        let (mut cursor, mut turn) = (None, 0_u64);
        loop {
            turn += 1;
            let leaves = (number % 3 == 1 && number / 3 < RESTLESS).then(|| {
                let mixed = (self.arguments.seed ^ (number as u64) << 32 ^ turn).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                Instant::now() + Duration::from_millis(1_000 + (mixed >> 40) % 4_000)
            });
            // However it ended: the next connection goes on where this one was.
            let _ = self.listen(number, &channel, &mut cursor, leaves).await;
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn listen(
        &self,
        number: usize,
        channel: &str,
        cursor: &mut Option<String>,
        leaves: Option<Instant>,
    ) -> Result<()> {
        let mut subscribe = json!({ "action": "subscribe", "channel": channel, "id": 1 });
        if let Some(cursor) = &*cursor {
            subscribe["since"] = json!(cursor);
        }
        let mut stream = timeout(HANDSHAKE, self.connect()).await??;
        timeout(HANDSHAKE, stream.send(Message::text(subscribe.to_string()))).await??;
        let mut guest = Guest { watchers: self, counted: false };
        let leaves = leaves.unwrap_or_else(|| Instant::now() + Duration::from_hours(1));
        loop {
            let message = tokio::select! {
                () = sleep_until(leaves) => return Ok(()),
                message = timeout(if guest.counted { SILENCE } else { HANDSHAKE }, stream.next()) => message,
            };
            let Ok(message) = message else {
                // Nothing to hear is no fault; but whoever cannot be asked any more has lost the connection.
                stream.send(Message::text(r#"{"action":"ping","id":2}"#)).await?;
                let Ok(Some(message)) = timeout(HANDSHAKE, stream.next()).await else { return Ok(()) };
                self.take(number, channel, message?, cursor)?;
                continue;
            };
            if self.take(number, channel, message.context("hung up")??, cursor)? {
                guest.counts();
            }
        }
    }

    async fn connect(&self) -> Result<WebSocketStream<TcpStream>> {
        let tcp = TcpStream::connect(self.arguments.service).await?;
        let mut request = format!("ws://{}/ws", self.arguments.service).into_client_request()?;
        request.headers_mut().insert("authorization", format!("Bearer {}", self.arguments.token).parse()?);
        Ok(tokio_tungstenite::client_async(request, tcp).await?.0)
    }

    /// Writes down what came; answers whether the client is subscribed now.
    fn take(&self, number: usize, channel: &str, message: Message, cursor: &mut Option<String>) -> Result<bool> {
        let Message::Text(text) = message else {
            if matches!(message, Message::Close(_)) {
                bail!("closed");
            }
            return Ok(false);
        };
        let frame: Value = serde_json::from_str(&text)?;
        let event = frame["event"].as_str().unwrap_or_default();
        if event == "pong" {
            return Ok(false);
        }
        let told = Told {
            client: number,
            channel: channel.to_owned(),
            at: now_millis(),
            event: event.to_owned(),
            cursor: frame["cursor"].as_str().map(str::to_owned),
            campaign: frame["data"]["campaignId"].as_str().map(str::to_owned),
            recovered: frame["data"]["recovered"].as_bool(),
        };
        self.journal.borrow_mut().write(&told)?;
        if let Some(at) = &told.cursor {
            // Whoever is told that all it missed will come has not heard it yet.
            if let Some((position, _)) = place(at)
                && told.recovered != Some(true)
            {
                let heard = &mut self.heard.borrow_mut()[number];
                *heard = position.max(*heard);
            }
            *cursor = Some(at.clone());
        }
        if event == "error" {
            bail!("{text}");
        }
        Ok(matches!(event, "subscribed" | "recovered"))
    }
}

/// Counts a client among the connected ones, as long as it is.
struct Guest<'a> {
    watchers: &'a Watchers,
    counted: bool,
}

impl Guest<'_> {
    fn counts(&mut self) {
        if !std::mem::replace(&mut self.counted, true) {
            self.watchers.connected.set(self.watchers.connected.get() + 1);
        }
    }
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        if self.counted {
            self.watchers.connected.set(self.watchers.connected.get() - 1);
        }
    }
}
