//! Events from other services: one consumer group over a table. What is acknowledged is removed at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use diesel::dsl::max;
use diesel::prelude::*;
use domain::Timestamp;
use ports::PortError;
use ports::inbound::{Delivery, EntryId, Inbound, InboundEvent, RawEntry, Undecodable};
use ports::store::MAX_BATCH;
use tokio::time::Instant;

use crate::embedded::Embedded;
use crate::failure::Failure;
use crate::rows::{attempts, instant, limit_of, micros};
use crate::schema::{inbound, statement};
use crate::writer::Unit;

/// Nobody waits longer, whatever they ask for: instants must not overflow.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

statement! {
    Append<'a> { appended_at: i64 as BigInt, fields: &'a str as Text }
    "INSERT INTO inbound (appended_at, fields, deliveries) VALUES (?, ?, 0)"
}

statement! {
    HandOut<'a> {
        consumer: &'a str as Text,
        delivered_at: i64 as BigInt,
        number: i64 as BigInt,
    }
    "UPDATE inbound SET consumer = ?, delivered_at = ?, deliveries = deliveries + 1 WHERE number = ?"
}

statement! {
    Acknowledge<'a> { number: &'a i64 as BigInt }
    "DELETE FROM inbound WHERE number = ? AND delivered_at IS NOT NULL"
}

#[async_trait]
impl Inbound for Embedded {
    fn decode(&self, raw: &RawEntry) -> Result<InboundEvent, Undecodable> {
        wire::inbound::decode(raw)
    }

    async fn append(&self, entries: Vec<RawEntry>) -> Result<Vec<EntryId>, PortError> {
        self.on_writer(move |unit| append(unit, &entries)).await
    }

    async fn fetch(&self, consumer: &str, term: u64, max: usize, wait: Duration) -> Result<Vec<Delivery>, PortError> {
        let until = Instant::now() + wait.min(LONGEST_WAIT);
        // Before the first look, so that nothing that comes after it is missed.
        let mut arrivals = self.arrivals.clone();
        arrivals.mark_unchanged();
        loop {
            self.admit(term).await?;
            // Looking is cheap; only what is there costs a commit.
            if self.on_reader(has_new).await? {
                let consumer = consumer.to_owned();
                let found = self.in_term(term, move |unit| hand_out(unit, &consumer, &new_rows(max))).await?;
                if !found.is_empty() {
                    return Ok(found);
                }
            }
            match tokio::time::timeout_at(until, arrivals.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Ok(Vec::new()),
            }
        }
    }

    async fn reclaim(&self, consumer: &str, term: u64, idle: Duration, max: usize) -> Result<Vec<Delivery>, PortError> {
        self.admit(term).await?;
        let idle = i64::try_from(idle.as_micros()).unwrap_or(i64::MAX);
        let before = micros(self.clock.now()).saturating_sub(idle);
        if !self.on_reader(move |connection| has_idle(connection, before)).await? {
            return Ok(Vec::new());
        }
        let consumer = consumer.to_owned();
        self.in_term(term, move |unit| hand_out(unit, &consumer, &idle_rows(before, max))).await
    }

    async fn acknowledge(&self, term: u64, ids: &[EntryId]) -> Result<(), PortError> {
        // What is no number was never an entry of ours: unknown, and so nothing to do (I4).
        let numbers: Vec<i64> = ids.iter().filter_map(|id| id.0.parse().ok()).collect();
        if numbers.is_empty() {
            return Ok(());
        }
        self.in_term(term, move |unit| {
            for number in &numbers {
                Acknowledge { number }.execute(unit.connection)?;
            }
            Ok(())
        })
        .await
    }

    async fn oldest_unread(&self) -> Result<Option<Timestamp>, PortError> {
        self.on_reader(|connection| {
            let oldest: Option<i64> =
                inbound::table.select(inbound::appended_at).order(inbound::number).first(connection).optional()?;
            oldest.map(instant).transpose()
        })
        .await
    }
}

impl Embedded {
    /// Lets a consumer in `term` in, and nobody with a lower one from then on (I7). A new term begins on the writer, after
    /// whatever is handed out in the one before, so that whoever takes over finds all of that.
    async fn admit(&self, term: u64) -> Result<(), PortError> {
        if term > self.consumer_term.load(Ordering::Acquire) {
            self.in_term(term, |_| Ok(())).await
        } else {
            serve(&self.consumer_term, term)
        }
    }

    /// Runs `work` within a commit, unless a higher term has begun.
    async fn in_term<T, F>(&self, term: u64, work: F) -> Result<T, PortError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Unit<'_>) -> Result<T, Failure> + Send + 'static,
    {
        let highest = Arc::clone(&self.consumer_term);
        self.on_writer(move |unit| {
            serve(&highest, term)?;
            work(unit)
        })
        .await
    }
}

fn serve(highest: &AtomicU64, term: u64) -> Result<(), PortError> {
    if highest.fetch_max(term, Ordering::AcqRel) > term {
        return Err(PortError::Contended { what: "the inbound stream" });
    }
    Ok(())
}

type Row = (i64, i64, String, i64);
type Found = fn(&mut SqliteConnection, i64, i64) -> QueryResult<Vec<Row>>;

/// Which rows to hand out: how to find them, since when they must be idle, how many.
struct Wanted {
    find: Found,
    before: i64,
    max: i64,
}

fn new_rows(max: usize) -> Wanted {
    let find: Found = |connection, _, max| {
        inbound::table
            .select((inbound::number, inbound::appended_at, inbound::fields, inbound::deliveries))
            .filter(inbound::delivered_at.is_null())
            .order(inbound::number)
            .limit(max)
            .load(connection)
    };
    Wanted { find, before: 0, max: limit_of(max, MAX_BATCH) }
}

fn idle_rows(before: i64, max: usize) -> Wanted {
    let find: Found = |connection, before, max| {
        inbound::table
            .select((inbound::number, inbound::appended_at, inbound::fields, inbound::deliveries))
            .filter(inbound::delivered_at.le(before))
            .order((inbound::delivered_at, inbound::number))
            .limit(max)
            .load(connection)
    };
    Wanted { find, before, max: limit_of(max, MAX_BATCH) }
}

fn has_new(connection: &mut SqliteConnection) -> Result<bool, Failure> {
    let first: Option<i64> = inbound::table
        .select(inbound::number)
        .filter(inbound::delivered_at.is_null())
        .order(inbound::number)
        .first(connection)
        .optional()?;
    Ok(first.is_some())
}

fn has_idle(connection: &mut SqliteConnection, before: i64) -> Result<bool, Failure> {
    let first: Option<i64> = inbound::table
        .select(inbound::number)
        .filter(inbound::delivered_at.le(before))
        .order(inbound::delivered_at)
        .first(connection)
        .optional()?;
    Ok(first.is_some())
}

fn append(unit: &mut Unit<'_>, entries: &[RawEntry]) -> Result<Vec<EntryId>, Failure> {
    let appended_at = micros(unit.clock.now());
    let mut ids = Vec::with_capacity(entries.len());
    for entry in entries {
        Append { appended_at, fields: &wire::stored::encode_raw(entry) }.execute(unit.connection)?;
        let number: Option<i64> = inbound::table.select(max(inbound::number)).get_result(unit.connection)?;
        ids.push(EntryId(number.unwrap_or_default().to_string()));
        unit.news.appended = true;
    }
    Ok(ids)
}

fn hand_out(unit: &mut Unit<'_>, consumer: &str, wanted: &Wanted) -> Result<Vec<Delivery>, Failure> {
    let delivered_at = micros(unit.clock.now());
    let rows = (wanted.find)(unit.connection, wanted.before, wanted.max)?;
    let mut found = Vec::with_capacity(rows.len());
    for (number, appended_at, fields, deliveries) in rows {
        HandOut { consumer, delivered_at, number }.execute(unit.connection)?;
        // A row that a hand in the file has spoiled must not hold up the others: it goes the way of all nonsense.
        let spoiled = |_| RawEntry { fields: vec![("unreadable".to_owned(), fields.clone())] };
        let raw = wire::stored::decode_raw(&fields).unwrap_or_else(spoiled);
        found.push(Delivery {
            id: EntryId(number.to_string()),
            event: wire::inbound::decode(&raw),
            raw,
            appended_at: instant(appended_at)?,
            deliveries: attempts(deliveries + 1),
        });
    }
    Ok(found)
}
