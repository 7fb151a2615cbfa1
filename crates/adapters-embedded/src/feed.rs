//! From the journal to the world. In one process the published streams are views of the journal: publishing moves a mark
//! over it and hands the records to whoever listens.
//!
//! A process that ends well leaves its mark for the next one. After a crash everything that was committed counts as
//! published: nobody listens any more, it can all be read, and no cursor that a client got is ever above the top.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use diesel::prelude::*;
use domain::TenantId;
use ports::PortError;
use ports::feed::{Channel, Feed, Live, LiveFeed, MAX_READ, Outbox, Publisher, Told};
use ports::journal::{Position, Record};
use tokio::sync::broadcast;

use crate::embedded::Embedded;
use crate::failure::{Failure, STORE};
use crate::journal::read_after;
use crate::rows::{JournalRow, int, limit_of, micros, uint};
use crate::schema::{journal, publication};

/// How many batches a subscriber may be behind before it is told that it missed some.
pub const LIVE_BATCHES: usize = 256;

/// What the world was told, and who listens.
pub(crate) struct Publication {
    top: Arc<AtomicU64>,
    /// Held while publishing, so that subscribers get batches in order.
    live: Mutex<broadcast::Sender<Arc<[Arc<Record>]>>>,
}

impl Publication {
    /// `top` is shared with whoever leaves the mark.
    pub(crate) fn new(top: Arc<AtomicU64>) -> Self {
        Self { top, live: Mutex::new(broadcast::Sender::new(LIVE_BATCHES)) }
    }

    fn top(&self) -> Position {
        Position(self.top.load(Ordering::Acquire))
    }

    fn publish(&self, mut records: Vec<Arc<Record>>, head: Position) -> Result<Position, PortError> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let top = self.top();
        records.retain(|r| r.position > top);
        let follow = records.iter().zip(top.0 + 1..).all(|(r, expected)| r.position.0 == expected);
        let Some(last) = records.last().map(|r| r.position) else { return Ok(top) };
        if !follow || last > head {
            let detail = format!("records up to {last} do not continue what was published up to {top} of {head}");
            return Err(PortError::Refused { what: STORE, detail });
        }
        // The mark first: who subscribes after the batch was sent must find it below the top.
        self.top.store(last.0, Ordering::Release);
        // Nobody may be listening.
        let _ = live.send(records.into());
        Ok(last)
    }

    fn skip_to(&self, begin: Position) -> Position {
        let _live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        Position(self.top.fetch_max(begin.0, Ordering::AcqRel).max(begin.0))
    }

    fn subscribe(&self) -> broadcast::Receiver<Arc<[Arc<Record>]>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).subscribe()
    }
}

#[async_trait]
impl Outbox for Embedded {
    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<Record>>, PortError> {
        let limit = limit.min(MAX_READ);
        if let Some(records) = self.recent.read(after, Position(u64::MAX), limit, |_| true) {
            return Ok(records);
        }
        let mut records =
            self.on_reader(move |connection| read_after(connection, after, limit_of(limit, MAX_READ))).await?;
        // The file has a commit a moment before it is told: what is read of it is there, and not yet to be published.
        let head = self.recent.head();
        records.retain(|r| r.position <= head);
        Ok(records)
    }

    async fn begin(&self) -> Result<Position, PortError> {
        Ok(Position::START) // the journal is kept for ever
    }
}

#[async_trait]
impl Publisher for Embedded {
    async fn told(&self) -> Result<Told, PortError> {
        // There is only one log that this file was told from: its own.
        Ok(Told { position: self.publication.top(), fact: None })
    }

    async fn publish(&self, records: Vec<Arc<Record>>) -> Result<(), PortError> {
        let top = self.publication.publish(records, self.recent.head())?;
        self.recent.published(top);
        Ok(())
    }

    async fn begin_after(&self, begin: Position) -> Result<(), PortError> {
        self.recent.published(self.publication.skip_to(begin));
        Ok(())
    }
}

#[async_trait]
impl Feed for Embedded {
    fn top(&self) -> Position {
        self.publication.top()
    }

    async fn floor(&self) -> Result<Position, PortError> {
        let retention = i64::try_from(self.settings.resume_retention.as_micros()).unwrap_or(i64::MAX);
        let since = micros(self.clock.now()).saturating_sub(retention);
        let top = self.publication.top();
        self.on_reader(move |connection| first_since(connection, since, top)).await
    }

    async fn read(
        &self,
        channel: &Channel,
        after: Position,
        up_to: Position,
        limit: usize,
    ) -> Result<Vec<Arc<Record>>, PortError> {
        let up_to = up_to.min(self.publication.top());
        let limit = limit.min(MAX_READ);
        if after >= up_to || limit == 0 {
            return Ok(Vec::new());
        }
        if let Some(records) = self.recent.read(after, up_to, limit, |r| channel.has(r)) {
            return Ok(records);
        }
        let channel = channel.clone();
        self.on_reader(move |connection| read_channel(connection, &channel, after, up_to, limit)).await
    }

    fn subscribe(&self) -> Box<dyn LiveFeed> {
        Box::new(Subscription { batches: self.publication.subscribe() })
    }
}

struct Subscription {
    batches: broadcast::Receiver<Arc<[Arc<Record>]>>,
}

#[async_trait]
impl LiveFeed for Subscription {
    async fn next(&mut self) -> Live {
        match self.batches.recv().await {
            Ok(batch) => Live::Records(batch),
            Err(broadcast::error::RecvError::Lagged(_)) => Live::Lagged,
            Err(broadcast::error::RecvError::Closed) => Live::Closed,
        }
    }
}

/// Takes the mark that the last process left; the head when it left none that holds.
pub(crate) fn take_mark(connection: &mut SqliteConnection, head: Position) -> Result<Position, Failure> {
    let mark: Option<(i64, i64)> =
        publication::table.select((publication::top, publication::head)).get_result(connection).optional()?;
    if mark.is_some() {
        diesel::delete(publication::table).execute(connection)?;
    }
    let top = mark.filter(|(_, at)| uint(*at) == head.0).map(|(top, _)| Position(uint(top)));
    Ok(top.unwrap_or(head))
}

/// Leaves the mark for the next process.
pub(crate) fn leave_mark(connection: &mut SqliteConnection, top: u64, head: Position) -> QueryResult<usize> {
    let mark = (publication::one.eq(1), publication::top.eq(int(top)), publication::head.eq(int(head.0)));
    diesel::replace_into(publication::table).values(mark).execute(connection)
}

/// The position after which everything is at `since` or later. Times in the journal never go back, so it is found by
/// halving, without an index of times.
fn first_since(connection: &mut SqliteConnection, since: i64, top: Position) -> Result<Position, Failure> {
    let (mut low, mut high) = (0, top.0);
    while low < high {
        let middle = low + (high - low) / 2;
        let at: Option<i64> = journal::table
            .select(journal::at)
            .filter(journal::position.eq(int(middle + 1)))
            .get_result(connection)
            .optional()?;
        if at.is_some_and(|at| at < since) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(Position(low))
}

fn read_channel(
    connection: &mut SqliteConnection,
    channel: &Channel,
    after: Position,
    up_to: Position,
    limit: usize,
) -> Result<Vec<Arc<Record>>, Failure> {
    let range = journal::position.gt(int(after.0)).and(journal::position.le(int(up_to.0)));
    let all = journal::table.select(JournalRow::as_select()).filter(range).into_boxed();
    let found = match channel {
        Channel::Campaign(tenant, id) => {
            all.filter(journal::tenant.eq(tenant.as_str()).and(journal::campaign.eq(id.as_str())))
        }
        Channel::Owner(tenant, owner) => {
            all.filter(journal::tenant.eq(tenant.as_str()).and(journal::owner.eq(owner.as_str())))
        }
        Channel::Tenant(tenant) => all.filter(journal::tenant.eq(tenant.as_str())),
        Channel::System => all.filter(journal::tenant.eq(TenantId::service().as_str().to_owned())),
    };
    let rows = found.order(journal::position).limit(limit_of(limit, MAX_READ)).load::<JournalRow>(connection)?;
    rows.iter().map(|row| row.record().map(Arc::new)).collect()
}
