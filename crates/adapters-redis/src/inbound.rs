//! Events from other services: a consumer group over the stream `campaign-events`. What trims the stream lives in
//! `upkeep`, how entries look in `entries`.
//!
//! The group is created at the stream's beginning, and again whenever it is gone (an emptied or replaced Redis): events
//! that are told twice are met by the inbox, events that are skipped are lost for ever. Reading never waits in the server
//! without a limit, and waits on a connection of its own. What was handed out by an answer that got lost on its way is
//! found by reading one's own pending entries before any new ones.
//!
//! Every entry is handed out and acknowledged by a script that knows the highest term (I7). So waiting is only that: it
//! reads past the group, and what it finds is news that there is something to take. A server that lost its data has lost
//! the highest term as well; whoever consumes tells it again within its next wait.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::Timestamp;
use fred::error::Error;
use fred::prelude::Value;
use ports::PortError;
use ports::inbound::{Delivery, EntryId, Inbound, InboundEvent, RawEntry, Undecodable};
use ports::store::MAX_BATCH;
use tokio::time::Instant;

use crate::entries::{appended_at, decode, delivery, is_id, to_args};
use crate::failure::{is_group_lost, odd, reading, writing};
use crate::link::{Link, Script, lock};
use crate::names::{INBOUND, INBOUND_TERM, Names};
use crate::values::{arg, list, text};

/// The consumer group of this service.
pub(crate) const GROUP: &str = "lifecycle-service";
/// The longest wait in the server: so soon a dead connection is noticed, at the latest.
const LONGEST_BLOCK: Duration = Duration::from_secs(2);
/// How much later than asked the server may answer.
const GRACE: Duration = Duration::from_secs(1);
/// After so many bytes an answer ends, whatever was asked for.
const MOST_BYTES: u32 = 4 * 1_024 * 1_024;
/// More pending entries of one consumer are not looked through at once.
const MOST_PENDING: usize = 100_000;
/// How many entries are appended at once.
const APPEND_CHUNK: usize = 500;

static TAKE: Script = Script::new(concat!(include_str!("scripts/term.lua"), include_str!("scripts/take.lua")));
static CLAIM: Script = Script::new(concat!(include_str!("scripts/term.lua"), include_str!("scripts/claim.lua")));
static ACKNOWLEDGE: Script =
    Script::new(concat!(include_str!("scripts/term.lua"), include_str!("scripts/acknowledge.lua")));
static OLDEST: Script = Script::new(include_str!("scripts/oldest.lua"));

/// [`Inbound`] on a stream.
pub struct RedisInbound {
    commands: Arc<Link>,
    /// Waits in the server, one call at a time.
    reader: Arc<Link>,
    waiting: tokio::sync::Mutex<()>,
    stream: String,
    /// Where the highest term is.
    term: String,
    handed: Mutex<Handed>,
}

/// What this process was handed and has not acknowledged.
#[derive(Default)]
struct Handed {
    ids: HashSet<String>,
    /// Consumers of which this process knows all that is pending with them.
    settled: HashSet<String>,
}

impl RedisInbound {
    pub(crate) fn new(commands: Arc<Link>, reader: Arc<Link>, names: &Names) -> Self {
        let (stream, term) = (names.of(INBOUND), names.of(INBOUND_TERM));
        Self { commands, reader, waiting: tokio::sync::Mutex::default(), stream, term, handed: Mutex::default() }
    }

    /// Makes the group unless it is there; answers whether it was made.
    pub(crate) async fn ensure_group(&self) -> Result<bool, Error> {
        let args = ["CREATE", &self.stream, GROUP, "0", "MKSTREAM"].map(Value::from).to_vec();
        match self.commands.call("XGROUP", args).await {
            Ok(_) => Ok(true),
            Err(error) if error.details().starts_with("BUSYGROUP") => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// After a call failed: makes the group anew if that is why, or else passes the error on.
    async fn recover(&self, error: Error) -> Result<(), PortError> {
        if !is_group_lost(&error) {
            return Err(writing(error));
        }
        if self.ensure_group().await.map_err(writing)? {
            tracing::warn!(stream = self.stream, "the consumer group was gone; all events are read again");
            metrics::counter!("lifecycle_inbound_group_recreated_total").increment(1);
        }
        Ok(())
    }

    /// What the consumer's scripts work on.
    fn keys(&self) -> Vec<String> {
        vec![self.stream.clone(), self.term.clone()]
    }

    /// New entries that are there now; if there are none, also the id that was handed out last.
    async fn take(&self, consumer: &str, term: u64, max: usize) -> Result<(Vec<Delivery>, String), PortError> {
        loop {
            let args = vec![arg(term), GROUP.into(), consumer.into(), arg(max), arg(MOST_BYTES)];
            match self.commands.run(&TAKE, self.keys(), args).await {
                Ok(answer) => {
                    let [entries, last] =
                        <[Value; 2]>::try_from(list(answer)).map_err(|_| odd("an answer about new entries"))?;
                    let entries = list(entries).into_iter().map(delivery).collect::<Result<_, _>>()?;
                    return Ok((entries, text(&last).unwrap_or_default()));
                }
                Err(error) => self.recover(error).await?,
            }
        }
    }

    /// Waits until there is an entry behind `last`, or until `until`, or for as long as the server should wait at once.
    /// Hands out nothing.
    async fn wait(&self, last: &str, until: Instant) -> Result<(), PortError> {
        let _one_at_a_time = self.waiting.lock().await;
        let left = until.saturating_duration_since(Instant::now()).min(LONGEST_BLOCK);
        if left < Duration::from_millis(1) {
            return Ok(()); // zero would mean: for ever
        }
        let block = left.as_millis().to_string();
        let args = ["COUNT", "1", "BLOCK", &block, "STREAMS", &self.stream, last];
        self.reader.wait("XREAD", args.map(Value::from).to_vec(), left + GRACE).await.map_err(reading)?;
        Ok(())
    }

    /// Entries that are pending with `owner`, or with anybody, for `idle` or longer.
    async fn claim(
        &self,
        consumer: &str,
        term: u64,
        owner: Option<&str>,
        idle: Duration,
        max: usize,
    ) -> Result<Vec<Delivery>, PortError> {
        let mut got: Vec<Delivery> = Vec::new();
        let mut from = "-".to_owned();
        while got.len() < max {
            let args = vec![
                arg(term),
                GROUP.into(),
                consumer.into(),
                arg(idle.as_millis()),
                arg(max - got.len()),
                arg(MOST_BYTES),
                from.as_str().into(),
                owner.unwrap_or_default().into(),
            ];
            let answer = match self.commands.run(&CLAIM, self.keys(), args).await {
                Ok(answer) => answer,
                Err(error) => {
                    self.recover(error).await?;
                    continue;
                }
            };
            let [entries, gone, last] = <[Value; 3]>::try_from(list(answer)).map_err(|_| odd("a claim of entries"))?;
            for entry in list(entries) {
                got.push(delivery(entry)?);
            }
            report_lost(&list(gone));
            match text(&last) {
                Some(last) if !last.is_empty() => from = format!("({last}"),
                _ => break,
            }
        }
        Ok(got)
    }

    /// What `consumer` has pending without ever having seen it.
    async fn unseen(&self, consumer: &str, term: u64) -> Result<Vec<Delivery>, PortError> {
        let own = self.claim(consumer, term, Some(consumer), Duration::ZERO, MOST_PENDING).await?;
        let handed = lock(&self.handed);
        Ok(own.into_iter().filter(|delivery| !handed.ids.contains(&delivery.id.0)).collect())
    }

    fn settle(&self, consumer: &str) {
        lock(&self.handed).settled.insert(consumer.to_owned());
    }

    fn hand_out(&self, deliveries: Vec<Delivery>) -> Vec<Delivery> {
        lock(&self.handed).ids.extend(deliveries.iter().map(|delivery| delivery.id.0.clone()));
        deliveries
    }
}

#[async_trait]
impl Inbound for RedisInbound {
    fn decode(&self, raw: &RawEntry) -> Result<InboundEvent, Undecodable> {
        decode(raw)
    }

    async fn append(&self, entries: Vec<RawEntry>) -> Result<Vec<EntryId>, PortError> {
        let mut ids = Vec::with_capacity(entries.len());
        for chunk in entries.chunks(APPEND_CHUNK) {
            let calls =
                chunk.iter().map(|entry| [vec![self.stream.as_str().into(), "*".into()], to_args(entry)].concat());
            let answers = self.commands.call_all("XADD", calls.collect()).await.map_err(writing)?;
            ids.extend(answers.iter().filter_map(text).map(EntryId));
        }
        if ids.len() == entries.len() { Ok(ids) } else { Err(odd("ids of appended entries are missing")) }
    }

    async fn fetch(&self, consumer: &str, term: u64, max: usize, wait: Duration) -> Result<Vec<Delivery>, PortError> {
        let max = max.clamp(1, MAX_BATCH);
        // Until this call has ended well, something may have been handed out that nobody has seen.
        let is_settled = lock(&self.handed).settled.remove(consumer);
        if !is_settled {
            let mut unseen = self.unseen(consumer, term).await?;
            if !unseen.is_empty() {
                if unseen.len() <= max {
                    self.settle(consumer);
                }
                unseen.truncate(max);
                return Ok(self.hand_out(unseen));
            }
        }
        let until = Instant::now() + wait.min(Duration::from_hours(1));
        let got = loop {
            let (got, last) = self.take(consumer, term, max).await?;
            if !got.is_empty() || until.saturating_duration_since(Instant::now()) < Duration::from_millis(1) {
                break got;
            }
            self.wait(&last, until).await?;
        };
        self.settle(consumer);
        Ok(self.hand_out(got))
    }

    async fn reclaim(&self, consumer: &str, term: u64, idle: Duration, max: usize) -> Result<Vec<Delivery>, PortError> {
        let got = self.claim(consumer, term, None, idle, max).await?;
        if idle.is_zero() && got.len() < max {
            // That was everything: what else was handed out has been dealt with, by whomever.
            lock(&self.handed).ids.clear();
        }
        Ok(self.hand_out(got))
    }

    async fn acknowledge(&self, term: u64, ids: &[EntryId]) -> Result<(), PortError> {
        for chunk in ids.chunks(APPEND_CHUNK) {
            let known: Vec<&str> = chunk.iter().map(|id| id.0.as_str()).filter(|id| is_id(id)).collect();
            if known.is_empty() {
                continue;
            }
            let ids = known.iter().copied().map(Value::from);
            let args = [arg(term), GROUP.into()].into_iter().chain(ids).collect();
            self.commands.run(&ACKNOWLEDGE, self.keys(), args).await.map_err(writing)?;
            let mut handed = lock(&self.handed);
            for id in known {
                handed.ids.remove(id);
            }
        }
        Ok(())
    }

    async fn oldest_unread(&self) -> Result<Option<Timestamp>, PortError> {
        let oldest =
            self.commands.run(&OLDEST, vec![self.stream.clone()], vec![GROUP.into()]).await.map_err(reading)?;
        Ok(text(&oldest).map(|id| appended_at(&id)))
    }
}

/// Somebody has removed entries that were handed out and never acknowledged. There is nothing left to process.
fn report_lost(ids: &[Value]) {
    for id in ids.iter().filter_map(text) {
        tracing::error!(entry = id, "an inbound entry was removed before it was dealt with, and is lost");
        metrics::counter!("lifecycle_inbound_lost_total").increment(1);
    }
}
