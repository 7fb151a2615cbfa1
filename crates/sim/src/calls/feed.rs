//! What the hub of one instance reads: the journal as far as it was published, followed by the mark.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ports::PortError;
use ports::feed::{Channel, Feed, Live, LiveFeed, MAX_READ, Outbox};
use ports::journal::{Position, Record};
use tokio::sync::broadcast;

use super::node::{Node, lock};
use crate::sabotage::Sabotage;

/// How often the mark is looked at, should a call be lost.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The feed of one instance.
pub struct SimFeed {
    node: Arc<Node>,
    tail: Mutex<Tail>,
}

struct Tail {
    top: Position,
    live: broadcast::Sender<Arc<[Arc<Record>]>>,
}

impl SimFeed {
    /// A feed that shows nothing until it runs.
    pub fn new(node: Arc<Node>) -> Arc<Self> {
        let live = broadcast::Sender::new(node.world.plan.live_batches);
        Arc::new(Self { node, tail: Mutex::new(Tail { top: Position::START, live }) })
    }

    /// Follows the mark.
    pub async fn run(&self) {
        let mut failures = 0_u32;
        loop {
            let followed = self.follow().await;
            failures = if followed.is_ok() { 0 } else { failures.saturating_add(1) };
            let pause = if failures == 0 { LOOK_EVERY } else { Duration::from_millis(50 << failures.min(5)) };
            tokio::select! {
                biased;
                () = self.node.marks.moved.notified(), if failures == 0 => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Looks at the mark, and hands out everything up to it.
    ///
    /// # Errors
    /// When bus or store fail.
    pub async fn follow(&self) -> Result<(), PortError> {
        if self.node.call_bus("mark").await.is_ok() {
            let mark = self.node.world.state().bus.outbound.mark();
            self.node.marks.is_at_least(mark);
        }
        let mark = self.node.marks.position();
        loop {
            let top = self.hand_over(mark);
            if top >= mark {
                return Ok(());
            }
            let mut records = Outbox::read(self.node.as_ref(), top, MAX_READ).await?;
            records.retain(|record| record.position <= mark);
            if records.is_empty() {
                return Err(PortError::Corrupt { what: "the journal", detail: format!("{mark} is not there") });
            }
            self.hand_out(records);
        }
    }

    /// Where there is nobody to hand anything out to, goes to the mark; answers where it is.
    fn hand_over(&self, mark: Position) -> Position {
        let mut tail = lock(&self.tail);
        if tail.live.receiver_count() == 0 {
            tail.top = tail.top.max(mark);
        }
        tail.top
    }

    /// Older records are not kept.
    fn begin(&self) -> Position {
        Position(self.top().0.saturating_sub(self.node.world.plan.lines.kept))
    }

    fn hand_out(&self, records: Vec<Arc<Record>>) {
        let mut tail = lock(&self.tail);
        tail.top = records.last().map_or(tail.top, |last| last.position);
        // Nobody may be listening.
        let _ = tail.live.send(records.into());
    }
}

#[async_trait]
impl Feed for SimFeed {
    fn top(&self) -> Position {
        lock(&self.tail).top
    }

    async fn floor(&self) -> Result<Position, PortError> {
        Ok(self.begin())
    }

    async fn read(
        &self,
        channel: &Channel,
        after: Position,
        up_to: Position,
        limit: usize,
    ) -> Result<Vec<Arc<Record>>, PortError> {
        self.node.call_store("read feed", crate::fault::Fault::ReadFails).await?;
        let up_to = up_to.min(self.top());
        let after = after.max(self.begin());
        let found = {
            let db = &self.node.world.state().db;
            let is_wanted = |record: &&Arc<Record>| record.position <= up_to && channel.has(record);
            if self.node.world.has(Sabotage::CursorByInsertion) {
                let cursor = db.read(Position(after.0.saturating_sub(1)), 1).first().map(|r| r.fact.id);
                let mut by_id = db.journal().to_vec();
                by_id.retain(|r| is_wanted(&r) && (after == Position::START || Some(r.fact.id) > cursor));
                by_id.sort_by_key(|r| r.fact.id);
                by_id.truncate(limit);
                by_id
            } else {
                db.read(after, usize::MAX >> 1).iter().filter(is_wanted).take(limit).cloned().collect()
            }
        };
        self.node.gate.leave().await;
        Ok(found)
    }

    fn subscribe(&self) -> Box<dyn LiveFeed> {
        Box::new(Subscription { batches: lock(&self.tail).live.subscribe() })
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
