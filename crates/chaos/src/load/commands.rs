//! The senders: one command each 1/60 s, or as often as they are told, whatever becomes of the others. One without an answer is sent again with the
//! same key until there is one, as producers are asked to do.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;
use testkit::{Plan, now_millis};
use tokio::sync::Mutex;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep, timeout_at};

use super::plan::{self, CAMPAIGNS, Op, RATE};
use super::resp::Redis;
use super::{Orders, say};
use crate::journal::{Attempt, Journal, NO_HINT, Outcome, Via};

/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(4);

/// The pauses between attempts grow up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

#[derive(Args)]
pub(crate) struct Arguments {
    /// Where the balancer listens.
    #[arg(long)]
    service: SocketAddr,
    #[arg(long)]
    redis: SocketAddr,
    /// What every id begins with.
    #[arg(long)]
    run: String,
    #[arg(long)]
    token: String,
    /// For how many seconds in the end outcomes may be unknown.
    #[arg(long)]
    patience: u64,
    #[arg(long)]
    journal: PathBuf,
}

struct Sender {
    client: reqwest::Client,
    redis: Mutex<Redis>,
    journal: RefCell<Journal>,
    /// All events, should they have to be sent again.
    events: RefCell<Vec<Op>>,
    arguments: Arguments,
}

pub(super) async fn run(arguments: Arguments) -> Result<()> {
    let sender = Rc::new(Sender {
        // A connection for each call, so that the balancer has each instance take its share.
        client: reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(PATIENCE).build()?,
        redis: Mutex::new(Redis::at(arguments.redis)),
        journal: RefCell::new(Journal::create(&arguments.journal)?),
        events: RefCell::new(Vec::new()),
        arguments,
    });
    sender.make_campaigns().await?;
    say("ready");
    LocalSet::new().run_until(work(sender)).await
}

async fn work(sender: Rc<Sender>) -> Result<()> {
    let mut orders = Orders::new();
    let (mut tick, mut crowd) = (ticks(RATE), 0);
    let (mut open, mut n) = (JoinSet::new(), 0);
    let order = loop {
        tokio::select! {
            order = orders.next() => {
                let order = order?;
                match order.split_once(' ') {
                    Some(("rate", rate)) => tick = ticks(rate.parse()?),
                    Some(("crowd", percent)) => crowd = percent.parse()?,
                    _ => break order,
                }
                say("done");
            }
            _ = tick.tick() => {
                let op = plan::op(&sender.arguments.run, n, crowd);
                if op.via == Via::Redis {
                    sender.events.borrow_mut().push(op.clone());
                }
                open.spawn_local(Rc::clone(&sender).settle(op));
                n += 1;
            }
            Some(settled) = open.join_next(), if !open.is_empty() => settled??,
        }
    };
    if order != "finish" {
        bail!("what is {order:?}?");
    }
    let latest = Instant::now() + Duration::from_secs(sender.arguments.patience);
    while let Ok(Some(settled)) = timeout_at(latest, open.join_next()).await {
        settled??;
    }
    say(&format!("{n} sent, {} unknown", open.len()));
    // Only told to send all events once more, by producers that got no outcome; else the input ends.
    while orders.next().await.is_ok_and(|order| order == "again") {
        say(&format!("{} sent again", sender.append_all().await?));
    }
    Ok(())
}

/// So many a second.
fn ticks(rate: u32) -> Interval {
    let mut ticks = interval(Duration::from_secs(1) / rate.max(1));
    // What a busy machine made us miss is made up for.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    ticks
}

impl Sender {
    /// The campaigns that are changed all the time.
    async fn make_campaigns(&self) -> Result<()> {
        let body: Vec<_> = (0..CAMPAIGNS)
            .map(|number| Plan::later(&plan::hot(&self.arguments.run, number as u64)).body().clone())
            .collect();
        let body = json!({ "campaigns": body }).to_string();
        let path = "/api/v1/campaigns/batch";
        for _ in 0..20 {
            let (_, said) = self.call("POST", path, &format!("{}-batch", self.arguments.run), &body).await;
            if said == "200" {
                return Ok(());
            }
            sleep(Duration::from_millis(200)).await;
        }
        bail!("the campaigns cannot be made")
    }

    /// Sends `op` until its outcome is known.
    async fn settle(self: Rc<Self>, op: Op) -> Result<()> {
        let (method, path, body) = op.call();
        let mut pause = Duration::from_millis(500);
        loop {
            let sent = now_millis();
            let (outcome, said) = match op.via {
                Via::Http => self.call(method, &path, &op.key, &body).await,
                Via::Redis => self.append(&op).await,
            };
            let attempt = Attempt {
                key: op.key.clone(),
                via: op.via,
                campaign: op.campaign.clone(),
                sent,
                answered: now_millis(),
                outcome,
                said,
            };
            self.journal.borrow_mut().write(&attempt)?;
            if outcome != Outcome::Unknown {
                return Ok(());
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// A call over HTTP; its status, or why there is none.
    async fn call(&self, method: &str, path: &str, key: &str, body: &str) -> (Outcome, String) {
        let called = async {
            let method = reqwest::Method::from_bytes(method.as_bytes())?;
            let request = self
                .client
                .request(method, format!("http://{}{path}", self.arguments.service))
                .bearer_auth(&self.arguments.token)
                .header("idempotency-key", key)
                .header("content-type", "application/json")
                .body(body.to_owned());
            let answer = request.send().await?;
            let (status, hint) = (answer.status(), answer.headers().contains_key("retry-after"));
            // An answer that is cut off is none.
            answer.bytes().await?;
            anyhow::Ok((status, hint))
        };
        match called.await {
            Ok((status, hint)) => {
                let status = status.as_u16();
                let outcome = match status {
                    200..=299 => Outcome::Ok,
                    429 | 500.. => Outcome::Unknown,
                    _ => Outcome::Rejected,
                };
                let lacks_hint = matches!(status, 429 | 503) && !hint;
                (outcome, if lacks_hint { format!("{status}{NO_HINT}") } else { status.to_string() })
            }
            Err(error) => (Outcome::Unknown, format!("{error:#}")),
        }
    }

    /// An event into the stream.
    async fn append(&self, op: &Op) -> (Outcome, String) {
        let (kind, data) = op.event();
        let words = [
            "XADD",
            "campaign-events",
            "*",
            "eventId",
            &op.key,
            "eventType",
            kind,
            "source",
            "chaos",
            "timestamp",
            "2026-11-01T00:00:00Z",
            "data",
            &data,
        ];
        match self.redis.lock().await.call(&words, Duration::ZERO).await {
            Ok(_) => (Outcome::Ok, "appended".to_owned()),
            Err(error) => (Outcome::Unknown, format!("{error:#}")),
        }
    }

    /// All events of this run once more, as they were; answers how many.
    async fn append_all(&self) -> Result<usize> {
        let events = self.events.take();
        for op in &events {
            let (outcome, said) = self.append(op).await;
            if outcome != Outcome::Ok {
                bail!("{} cannot be sent again: {said}", op.key);
            }
        }
        Ok(events.len())
    }
}
