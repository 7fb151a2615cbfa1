//! Tells the world: facts become entries of the outbound streams, and the mark says how far. What an entry looks like lives
//! in `told`, who hears of a new mark in `marks`.
//!
//! The rule is that **every stream holds every position exactly once**, whatever happens to Redis:
//!
//! * An entry's id is `<position>-<k>`, so the same fact is always told with the same ids. Redis refuses an id at or below
//!   a stream's last one; what would be refused is there already and is left out.
//! * The mark holds the last told position and, for each stream, the last id that it was given. One script checks, writes
//!   entries, moves the mark and calls it out: all or nothing, whoever else publishes at the same time.
//! * What is at or below the mark is dropped; what does not continue right after it is refused (F2).
//! * A stream of which the last id is not the one in the mark was changed behind our back, and nothing is published
//!   (`Contended`) before [`Publisher::top`] has looked into it:
//!   * Its last id is **lower** (it was deleted, alone): the mark goes back to the position that it still has, and all from
//!     there on is told again. The other streams leave out what they have; the mark remembers what each of them has.
//!   * Its last id is **higher** and its last entry is ours (the mark was lost, or set back): the mark remembers it.
//!   * Its last entry is **not ours**: nothing can be told there without mixing with it. That is an error for an operator;
//!     deleting the stream is always safe, it is told again.
//! * The mark also names the fact at its position, so that a log that is not the one it was told from is noticed (F7).
//! * After a loss of everything, or a restart with older data, mark and streams have gone back together (scripts are
//!   written to disk as a whole), and `top` is simply that older mark. Entries that were trimmed do not matter: a stream
//!   remembers its last id without them.
//!
//! What is told again is told by the outbox, as far back as it reaches (F6): `begin_after` moves the mark up to there.

use std::sync::Arc;

use async_trait::async_trait;
use failpoints::Point;
use fred::prelude::Value;
use ports::PortError;
use ports::feed::{Publisher, Told};
use ports::journal::{Position, Record};

use crate::failure::{REDIS, odd, writing};
use crate::link::{Link, Script};
use crate::marks::Marks;
use crate::names::{INBOUND_TERM, MARK, MARKS_CHANNEL, Names, OUTBOUND};
use crate::told::{self, Group};
use crate::values::{arg, list, number, text};

/// So many records are told in one step.
const MOST_RECORDS: usize = 256;
/// A step ends after so many bytes, too: other clients of the server wait while a script runs.
const MOST_BYTES: usize = 2 * 1_024 * 1_024;

static TOP: Script = Script::new(concat!(include_str!("scripts/streams.lua"), include_str!("scripts/top.lua")));
static PUBLISH: Script = Script::new(concat!(include_str!("scripts/streams.lua"), include_str!("scripts/publish.lua")));
static ERASE: Script = Script::new(include_str!("scripts/erase.lua"));
static BEGIN: Script = Script::new(include_str!("scripts/begin.lua"));

/// [`Publisher`] on the outbound streams.
pub struct RedisPublisher {
    link: Arc<Link>,
    marks: Arc<Marks>,
    keys: Vec<String>,
    /// Where the consumers' highest term is.
    inbound_term: String,
    channel: String,
}

impl RedisPublisher {
    pub(crate) fn new(link: Arc<Link>, marks: Arc<Marks>, names: &Names) -> Self {
        let keys = std::iter::once(MARK).chain(OUTBOUND).map(|name| names.of(name)).collect();
        Self { link, marks, keys, inbound_term: names.of(INBOUND_TERM), channel: names.of(MARKS_CHANNEL) }
    }

    /// Deletes the outbound streams and the mark: the world knows nothing any more and is told again, from where the outbox
    /// begins. Consumer groups on the streams go with them, and so does the consumers' highest term: terms of a database from
    /// a backup begin lower.
    ///
    /// # Errors
    /// [`PortError`].
    pub async fn erase(&self) -> Result<(), PortError> {
        let keys = [self.keys.as_slice(), std::slice::from_ref(&self.inbound_term)].concat();
        self.link.run(&ERASE, keys, Vec::new()).await.map_err(writing)?;
        self.marks.is(Position::START);
        Ok(())
    }

    /// Tells records that follow each other, in one step.
    async fn tell(&self, first: Position, last: &Record, groups: Vec<Group>) -> Result<(), PortError> {
        let (last, fact) = (last.position, last.fact.id);
        let mut args = vec![self.channel.as_str().into(), arg(first), arg(last), arg(fact)];
        args.extend(OUTBOUND.map(Value::from));
        for group in groups {
            group.into_args(&mut args);
        }
        let answer = self.link.run(&PUBLISH, self.keys.clone(), args).await.map_err(writing)?;
        let [verdict, mark] = <[Value; 2]>::try_from(list(answer)).map_err(|_| odd("an answer to a publication"))?;
        let mark = Position(number(&mark).ok_or_else(|| odd("the mark is no number"))?);
        match text(&verdict).as_deref() {
            Some("ok") => {
                self.marks.is_at_least(mark);
                Ok(())
            }
            Some("gap") => {
                let detail = format!("records from {first} to {last} do not continue what was published up to {mark}");
                Err(PortError::Refused { what: REDIS, detail })
            }
            _ => Err(PortError::Contended { what: "an outbound stream in Redis" }),
        }
    }
}

#[async_trait]
impl Publisher for RedisPublisher {
    async fn told(&self) -> Result<Told, PortError> {
        let names = OUTBOUND.map(Value::from).to_vec();
        let answer = self.link.run(&TOP, self.keys.clone(), names).await.map_err(writing)?;
        let [verdict, one, two, fact] =
            <[Value; 4]>::try_from(list(answer)).map_err(|_| odd("an answer about the mark"))?;
        if text(&verdict).as_deref() == Some("foreign") {
            let (stream, id) = (text(&one).unwrap_or_default(), text(&two).unwrap_or_default());
            return Err(odd(format!(
                "the stream {stream} has an entry {id} that this service did not write; only this service may write there. \
                 Delete the stream (DEL {stream}): it is told again"
            )));
        }
        let (Some(position), Some(before)) = (number(&one), number(&two)) else {
            return Err(odd("the mark is no number"));
        };
        if position < before {
            tracing::warn!(from = before, to = position, "an outbound stream was lost in Redis and is told again");
            metrics::counter!("lifecycle_published_rewinds_total").increment(1);
            self.marks.is(Position(position));
        } else {
            // No further down: somebody may have gone on while this answer was on its way. What was lost with the mark
            // itself is seen by who looks at the mark.
            self.marks.is_at_least(Position(position));
        }
        let fact = text(&fact).filter(|fact| !fact.is_empty());
        let fact = fact.map(|fact| fact.parse().map_err(|_| odd("the mark names no fact"))).transpose()?;
        Ok(Told { position: Position(position), fact })
    }

    async fn publish(&self, records: Vec<Arc<Record>>) -> Result<(), PortError> {
        if let Some(pair) = records.windows(2).find(|pair| pair[1].position.0 != pair[0].position.0 + 1) {
            let detail = format!("record {} does not follow {}", pair[1].position, pair[0].position);
            return Err(PortError::Refused { what: REDIS, detail });
        }
        let mut rest = records.as_slice();
        while let Some(first) = rest.first() {
            let (mut groups, mut bytes, mut count) = (Vec::new(), 0, 0);
            while let Some(record) = rest.get(count).filter(|_| count < MOST_RECORDS && bytes < MOST_BYTES) {
                for group in told::of(record) {
                    bytes += group.size();
                    groups.push(group);
                }
                count += 1;
            }
            self.tell(first.position, &rest[count - 1], groups).await?;
            rest = &rest[count..];
            if !rest.is_empty() {
                failpoints::pass(Point::PublisherPartTold);
            }
        }
        Ok(())
    }

    async fn begin_after(&self, begin: Position) -> Result<(), PortError> {
        let args = vec![self.channel.as_str().into(), arg(begin)];
        let mark = self.link.run(&BEGIN, vec![self.keys[0].clone()], args).await.map_err(writing)?;
        self.marks.is_at_least(Position(number(&mark).ok_or_else(|| odd("the mark is no number"))?));
        Ok(())
    }
}
