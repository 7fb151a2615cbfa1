//! A reader of the outgoing streams that knows nothing of the service: it writes down what it saw, in order.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::resp::{Redis, Reply};
use super::{Orders, say};
use crate::journal::{Journal, Seen, place};

const STREAMS: [&str; 3] = ["lifecycle-events", "timer-events", "system-events"];

/// How many entries of a stream come with one read.
const MOST: usize = 500;

/// How long a read waits for something new.
const WAITS: Duration = Duration::from_millis(300);

/// How long at the end it waits for what is to come.
const PATIENCE: Duration = Duration::from_mins(2);

#[derive(Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    redis: SocketAddr,
    /// The position after which to begin.
    #[arg(long)]
    after: u64,
    #[arg(long)]
    journal: PathBuf,
}

struct Reader {
    redis: Redis,
    journal: Journal,
    /// Up to where each stream was read.
    last: [String; 3],
}

pub(super) async fn run(arguments: Arguments) -> Result<()> {
    let start = format!("{}-{}", arguments.after, u64::MAX);
    let mut reader = Reader {
        redis: Redis::at(arguments.redis),
        journal: Journal::create(&arguments.journal)?,
        last: STREAMS.map(|_| start.clone()),
    };
    let mut orders = Orders::new();
    say("ready");
    let order = loop {
        tokio::select! {
            order = orders.next() => break order?,
            // It may end in the middle of an answer; the connection is given up then, and the entries are read again.
            read = reader.read(WAITS) => if read.is_err() {
                sleep(Duration::from_millis(100)).await;
            }
        }
    };
    let Some(head) = order.strip_prefix("finish ").and_then(|head| head.parse::<u64>().ok()) else {
        bail!("what is {order:?}?");
    };
    let begun = Instant::now();
    while reader.top() < head && begun.elapsed() < PATIENCE {
        if reader.read(WAITS).await.is_err() {
            sleep(Duration::from_millis(100)).await;
        }
    }
    // Redis answers a reader that waits with the one stream that had something first; one that does not wait gets all.
    while reader.read(Duration::ZERO).await? >= MOST {}
    let entries = reader.read_again(arguments.after).await?;
    say(&format!("read up to {}, {entries} entries in the end", reader.top()));
    // Ends with its input.
    let _ = orders.next().await;
    Ok(())
}

impl Reader {
    /// The last position that it saw.
    fn top(&self) -> u64 {
        self.last.iter().filter_map(|id| place(id)).map(|(position, _)| position).max().unwrap_or_default()
    }

    /// Reads on; answers how many entries there were.
    async fn read(&mut self, waits: Duration) -> Result<usize> {
        let (most, milliseconds) = (MOST.to_string(), waits.as_millis().to_string());
        let mut words = vec!["XREAD", "COUNT", &most];
        if !waits.is_zero() {
            words.extend(["BLOCK", &milliseconds]);
        }
        words.push("STREAMS");
        words.extend(STREAMS);
        let last = self.last.clone();
        words.extend(last.iter().map(String::as_str));
        let reply = self.redis.call(&words, waits).await?;
        let mut count = 0;
        for stream in reply.items() {
            let [name, entries] = stream.items() else { bail!("an answer of another form") };
            for entry in entries.items() {
                let seen = seen(name.text(), entry, false)?;
                if let Some(number) = STREAMS.iter().position(|stream| *stream == name.text()) {
                    self.last[number].clone_from(&seen.id);
                }
                self.journal.write(&seen)?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// What the streams hold in the end.
    async fn read_again(&mut self, after: u64) -> Result<usize> {
        let mut count = 0;
        for name in STREAMS {
            let words = ["XRANGE", name, &format!("{}-0", after + 1), "+"];
            let reply = self.redis.call(&words, PATIENCE).await?;
            for entry in reply.items() {
                self.journal.write(&seen(name, entry, true)?)?;
                count += 1;
            }
        }
        Ok(count)
    }
}

fn seen(stream: &str, entry: &Reply, at_the_end: bool) -> Result<Seen> {
    let [id, fields] = entry.items() else { bail!("an entry of another form") };
    let field = |name: &str| {
        let pairs = fields.items().chunks_exact(2);
        pairs.into_iter().find(|pair| pair[0].text() == name).map(|pair| pair[1].text().to_owned())
    };
    let data: Value = serde_json::from_str(&field("data").unwrap_or_default()).unwrap_or_default();
    Ok(Seen {
        stream: stream.to_owned(),
        id: id.text().to_owned(),
        event_id: field("eventId").unwrap_or_default(),
        event_type: field("eventType").unwrap_or_default(),
        timer: data["timerId"].as_str().map(str::to_owned),
        at_the_end,
    })
}
