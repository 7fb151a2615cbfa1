//! The inbound stream as one consumer sees it. It reads what it was handed and never saw before anything new, as the real
//! one does.

use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::{CommandId, Timestamp};
use ports::PortError;
use ports::inbound::{Delivery, EntryId, Inbound, InboundEvent, RawEntry, Undecodable};
use tokio::time::Instant;

use super::node::{BUS, Node, lock};
use crate::model::inbound::{Refusal, Stream};
use crate::sabotage::Sabotage;

/// The longest wait in the server.
const LONGEST_BLOCK: Duration = Duration::from_secs(2);

impl Node {
    /// Works on the stream; makes the group anew where it is gone.
    fn on_stream<T>(&self, work: impl Fn(&mut Stream, Timestamp) -> Result<T, Refusal>) -> Result<T, PortError> {
        let now = self.world.now();
        let at_end = self.world.has(Sabotage::GroupAtEnd);
        let stream = &mut self.world.state().bus.inbound;
        loop {
            match work(stream, now) {
                Ok(value) => return Ok(value),
                Err(Refusal::Fenced) => return Err(PortError::Contended { what: BUS }),
                Err(Refusal::NoGroup) => stream.make_group(at_end && stream.term() > 1),
            }
        }
    }

    fn term(&self, term: u64) -> (u64, bool) {
        (term, !self.world.has(Sabotage::StaleLease))
    }

    /// What is pending with this consumer, and it never saw.
    fn unseen(&self, consumer: &str, term: u64) -> Result<Vec<Delivery>, PortError> {
        let fence = self.term(term);
        let own = self.on_stream(|stream, now| {
            stream.claim(consumer, fence, Some(consumer), TimeDelta::zero(), usize::MAX, now)
        })?;
        self.check_served(term, &own);
        let handed = lock(&self.handed);
        Ok(own.into_iter().filter(|delivery| !handed.ids.contains(&delivery.id.0)).collect())
    }

    /// The rule of the port on which the order of events rests (I7), for as long as the bus loses nothing.
    fn check_served(&self, term: u64, deliveries: &[Delivery]) {
        if deliveries.is_empty() || !self.world.plan.keeps_order() {
            return;
        }
        self.world.audit(|audit, _, _| {
            if term < audit.term {
                let newer = audit.term;
                audit.breaks(format!("I7: an entry is handed out in term {term}, and {newer} was served before"));
            }
            audit.term = audit.term.max(term);
        });
    }

    fn hand_out(&self, mut deliveries: Vec<Delivery>) -> Vec<Delivery> {
        lock(&self.handed).ids.extend(deliveries.iter().map(|delivery| delivery.id.0.clone()));
        if self.world.has(Sabotage::RetryWithNewKey) {
            for delivery in deliveries.iter_mut().filter(|delivery| delivery.deliveries > 1) {
                if let (Ok(event), Ok(id)) = (&mut delivery.event, CommandId::parse(&format!("{}", self.ids_next()))) {
                    event.id = id;
                }
            }
        }
        if self.world.has(Sabotage::AckBeforeCommit) {
            let ids: Vec<_> = deliveries.iter().map(|delivery| delivery.id.clone()).collect();
            let _ = self.on_stream(|stream, _| stream.acknowledge(0, false, &ids));
        }
        deliveries
    }

    fn ids_next(&self) -> uuid::Uuid {
        ports::clock::Ids::next(self.ids.as_ref())
    }
}

#[async_trait]
impl Inbound for Node {
    fn decode(&self, raw: &RawEntry) -> Result<InboundEvent, Undecodable> {
        wire::inbound::decode(raw)
    }

    async fn append(&self, entries: Vec<RawEntry>) -> Result<Vec<EntryId>, PortError> {
        self.call_bus("append").await?;
        let at = self.world.now();
        let ids = {
            let stream = &mut self.world.state().bus.inbound;
            entries.into_iter().map(|raw| stream.append(raw, at)).collect()
        };
        self.world.appended.notify_waiters();
        self.bus_wrote(ids).await
    }

    async fn fetch(&self, consumer: &str, term: u64, max: usize, wait: Duration) -> Result<Vec<Delivery>, PortError> {
        self.call_bus("fetch").await?;
        // Until this call has ended well, something may have been handed out that nobody has seen.
        let is_settled = std::mem::take(&mut lock(&self.handed).is_settled);
        if !is_settled {
            let mut unseen = self.unseen(consumer, term)?;
            if !unseen.is_empty() {
                let is_all = unseen.len() <= max;
                unseen.truncate(max);
                let unseen = self.bus_wrote(unseen).await?;
                lock(&self.handed).is_settled = is_all;
                return Ok(self.hand_out(unseen));
            }
        }
        let until = Instant::now() + wait;
        let got = loop {
            let appended = self.world.appended.notified();
            let fence = self.term(term);
            let got = self.on_stream(|stream, now| stream.take(consumer, fence, max, now))?;
            self.check_served(term, &got);
            if !got.is_empty() || until.saturating_duration_since(Instant::now()) < Duration::from_millis(1) {
                break got;
            }
            let block = until.min(Instant::now() + LONGEST_BLOCK);
            if !self.world.state().bus.inbound.has_news() {
                let _ = tokio::time::timeout_at(block, appended).await;
            }
            self.call_bus("take").await?;
        };
        let got = self.bus_wrote(got).await?;
        lock(&self.handed).is_settled = true;
        Ok(self.hand_out(got))
    }

    async fn reclaim(&self, consumer: &str, term: u64, idle: Duration, max: usize) -> Result<Vec<Delivery>, PortError> {
        self.call_bus("reclaim").await?;
        let least = TimeDelta::from_std(idle).unwrap_or(TimeDelta::MAX);
        let fence = self.term(term);
        let got = self.on_stream(|stream, now| stream.claim(consumer, fence, None, least, max, now))?;
        self.check_served(term, &got);
        let got = self.bus_wrote(got).await?;
        if idle.is_zero() && got.len() < max {
            // That was everything: what else was handed out has been dealt with, by whomever.
            lock(&self.handed).ids.clear();
        }
        Ok(self.hand_out(got))
    }

    async fn acknowledge(&self, term: u64, ids: &[EntryId]) -> Result<(), PortError> {
        self.call_bus("acknowledge").await?;
        let (term, fenced) = self.term(term);
        self.on_stream(|stream, _| stream.acknowledge(term, fenced, ids))?;
        self.bus_wrote(()).await?;
        let mut handed = lock(&self.handed);
        for id in ids {
            handed.ids.remove(&id.0);
        }
        Ok(())
    }

    async fn oldest_unread(&self) -> Result<Option<Timestamp>, PortError> {
        self.call_bus("oldest").await?;
        let oldest = self.world.state().bus.inbound.oldest_unread();
        self.gate.leave().await;
        Ok(oldest)
    }
}
