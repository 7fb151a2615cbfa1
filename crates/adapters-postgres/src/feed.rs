//! What live clients of this instance read: the journal, as far as it was published. How far that is comes from the bus,
//! as marks; everything else comes from the database, or from the newest records at hand.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::TenantId;
use failpoints::Point;
use ports::PortError;
use ports::feed::{Channel, Feed, Live, LiveFeed, MAX_READ};
use ports::journal::{Position, Record};
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::failure::{Failure, corrupt};
use crate::outbox::{first_since, read_range};
use crate::postgres::{Freshness, Postgres};
use crate::rows::{JournalRow, int, limit_of};
use crate::schema::journal;

/// How many batches a subscriber may be behind before it is told that it missed some.
pub const LIVE_BATCHES: usize = 256;

/// How many records stay at hand, for clients that were away for a moment.
const RECENT: usize = 2_048;

/// How long a floor that was found is good enough: what lies above it is kept for much longer.
const FLOOR_AGE: Duration = Duration::from_secs(10);

/// The longest wait between two attempts to read what was published.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// The published journal, for the clients of this instance.
pub struct JournalFeed {
    postgres: Arc<Postgres>,
    tail: Mutex<Tail>,
    floor: tokio::sync::Mutex<Option<(Instant, Position)>>,
}

/// Where the published journal ends, and who listens. Held while a batch is handed out, so that whoever subscribes gets
/// every batch after the top that it sees, and none before.
struct Tail {
    top: Position,
    /// Whether the first mark was seen.
    begun: bool,
    live: broadcast::Sender<Arc<[Arc<Record>]>>,
    /// The newest records up to the top, without gaps.
    recent: VecDeque<Arc<Record>>,
}

impl JournalFeed {
    /// A feed that shows nothing until it runs.
    pub fn new(postgres: Arc<Postgres>) -> Arc<Self> {
        let tail = Tail {
            top: Position::START,
            begun: false,
            live: broadcast::Sender::new(LIVE_BATCHES),
            recent: VecDeque::new(),
        };
        Arc::new(Self { postgres, tail: Mutex::new(tail), floor: tokio::sync::Mutex::new(None) })
    }

    /// Follows the marks until `stop`, or until nobody gives marks any more. What was published before the first mark is
    /// there to be read, and not handed out. May run again after it ended: it goes on where it was.
    pub async fn run(&self, mut marks: watch::Receiver<Position>, stop: CancellationToken) {
        let mut mark = *marks.borrow_and_update();
        self.postgres.saw(mark);
        self.tail().begin(mark);
        let mut failures = 0_u32;
        loop {
            let wait = match self.advance(mark).await {
                Ok(()) => {
                    if failures > 0 {
                        tracing::info!(%mark, "live clients get what was published again");
                    }
                    failures = 0;
                    None
                }
                Err(error) => {
                    if failures == 0 {
                        tracing::error!(
                            error = &error as &dyn std::error::Error,
                            "live clients get nothing new: what was published cannot be read"
                        );
                    }
                    failures = failures.saturating_add(1);
                    Some(Duration::from_millis(50 << failures.min(6)).min(LONGEST_WAIT))
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                changed = marks.changed(), if wait.is_none() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {}
            }
            mark = *marks.borrow_and_update();
        }
    }

    /// Hands out everything up to `mark`. A mark that went back (a bus that lost its memory) changes nothing.
    async fn advance(&self, mark: Position) -> Result<(), PortError> {
        // Before the top moves: what is below it must be in every answer, also in a replica's.
        self.postgres.saw(mark);
        loop {
            let top = {
                let mut tail = self.tail();
                // Nobody has to be told what everybody who comes will find below the top.
                if tail.live.receiver_count() == 0 {
                    tail.skip_to(mark);
                }
                tail.top
            };
            if top >= mark {
                return Ok(());
            }
            failpoints::pass(Point::FeedRound);
            let read = async move |connection: &mut AsyncPgConnection| {
                read_range(connection, top, mark, limit_of(MAX_READ, MAX_READ)).await
            };
            let records = self.postgres.ask(Freshness::Now, read).await?;
            if records.is_empty() {
                return Err(corrupt(format!("{mark} was published, and there is no record after {top}")).into_port());
            }
            self.tail().hand_out(records);
        }
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tail {
    /// Begins at `mark`, unless it has begun: then somebody may wait for what comes after the top.
    fn begin(&mut self, mark: Position) {
        if !std::mem::replace(&mut self.begun, true) {
            self.skip_to(mark);
        }
    }

    fn skip_to(&mut self, mark: Position) {
        if mark > self.top {
            self.top = mark;
            self.recent.clear();
        }
    }

    fn hand_out(&mut self, records: Vec<Arc<Record>>) {
        let Some(last) = records.last() else { return };
        self.top = last.position;
        self.recent.extend(records.iter().cloned());
        let extra = self.recent.len().saturating_sub(RECENT);
        self.recent.drain(..extra);
        // Nobody may be listening.
        let _ = self.live.send(records.into());
    }

    /// What the records at hand say; none when they do not reach back that far.
    fn read(&self, channel: &Channel, after: Position, up_to: Position, limit: usize) -> Option<Vec<Arc<Record>>> {
        if after >= up_to.min(self.top) || limit == 0 {
            return Some(Vec::new());
        }
        if self.recent.front().is_none_or(|first| first.position.0 > after.0 + 1) {
            return None;
        }
        let start = self.recent.partition_point(|record| record.position <= after);
        let found = self.recent.range(start..).take_while(|record| record.position <= up_to);
        Some(found.filter(|record| channel.has(record)).take(limit).cloned().collect())
    }
}

#[async_trait]
impl Feed for JournalFeed {
    fn top(&self) -> Position {
        self.tail().top
    }

    async fn floor(&self) -> Result<Position, PortError> {
        // Held while asking: many clients that come back at once ask once.
        let mut known = self.floor.lock().await;
        if let Some((found, floor)) = *known
            && found.elapsed() < FLOOR_AGE.min(self.postgres.settings.resume_retention / 4)
        {
            return Ok(floor);
        }
        let (top, retention) = (self.top(), self.postgres.settings.resume_retention);
        let find = async move |connection: &mut AsyncPgConnection| first_since(connection, retention, top).await;
        let floor = self.postgres.ask(Freshness::Seen, find).await?;
        *known = Some((Instant::now(), floor));
        Ok(floor)
    }

    async fn read(
        &self,
        channel: &Channel,
        after: Position,
        up_to: Position,
        limit: usize,
    ) -> Result<Vec<Arc<Record>>, PortError> {
        let limit = limit.min(MAX_READ);
        let up_to = {
            let tail = self.tail();
            if let Some(records) = tail.read(channel, after, up_to, limit) {
                return Ok(records);
            }
            up_to.min(tail.top)
        };
        let channel = channel.clone();
        self.postgres
            .ask(Freshness::Seen, async move |connection| read_channel(connection, &channel, after, up_to, limit).await)
            .await
    }

    fn subscribe(&self) -> Box<dyn LiveFeed> {
        Box::new(Subscription { batches: self.tail().live.subscribe() })
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

async fn read_channel(
    connection: &mut AsyncPgConnection,
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
    let found = found.order(journal::position).limit(limit_of(limit, MAX_READ));
    let rows = found.load::<JournalRow>(connection).await?;
    rows.iter().map(|row| row.record().map(Arc::new)).collect()
}
