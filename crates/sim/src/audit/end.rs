//! What must hold at the end, when nothing goes wrong any more: whether everything has come together, and whether it is all
//! there.

use chrono::TimeDelta;
use domain::Timestamp;
use ports::journal::{Position, Record};
use ports::query::{TimerRow, TimerState};

use super::{Audit, Reader, Viewer};
use crate::model::bus::Bus;
use crate::model::store::Database;

/// So late a timer may be at the end.
const LATE: TimeDelta = TimeDelta::seconds(1);

/// What is not as it must be yet; none when everything has come together.
pub(crate) fn missing(audit: &Audit, db: &Database, bus: &Bus, clock: Timestamp) -> Option<String> {
    // All rows, and not what finds due timers among them: that may be what is wrong.
    let is_late = |row: &&TimerRow| {
        row.state == TimerState::Pending && !row.held && row.retry_at.unwrap_or(row.timer.due) < clock - LATE
    };
    if let Some(row) = db.timers.all().find(is_late) {
        let (kind, due) = (row.timer.kind.as_str(), row.timer.due);
        return Some(format!("{kind} of {} was due at {due}, and it is {clock}", row.key));
    }
    if let Some(oldest) = bus.inbound.oldest_unread() {
        let pending = bus.inbound.pending();
        return Some(format!("an event of {oldest} is not dealt with, {pending} are pending"));
    }
    let unseen = audit.unseen_events(db);
    if let Some(first) = unseen.first() {
        return Some(format!("event {} and {} others left no trace", first.correlation(), unseen.len() - 1));
    }
    let unresolved = audit.unresolved();
    if unresolved > 0 {
        return Some(format!("{unresolved} clients do not know what their commands came to"));
    }
    let (told, head) = (bus.outbound.mark(), db.head());
    let behind = |reader: &&Reader| reader.next(db).is_some_and(|next| next.fact.at < clock - LATE * 2);
    if let Some(reader) = audit.readers.iter().find(behind) {
        return Some(format!("{} was shown nothing after {}, and there is more", reader.name, reader.last));
    }
    let since = |viewer: &Viewer| viewer.waits_since(db).is_some_and(|since| since < clock - LATE * 2);
    let behind = |viewer: &&Viewer| viewer.exists(db) && (!viewer.is_on || since(viewer));
    if let Some(Viewer { name, called, is_on, seen, .. }) = audit.viewers.iter().find(behind) {
        return Some(format!("{name} was told nothing of {called} after {seen:?} (subscribed: {is_on})"));
    }
    (told < head).then(|| format!("the world was told up to {told} of {head}"))
}

impl Audit {
    /// All that must hold when everything has come together.
    pub(crate) fn check_end(&mut self, db: &Database, bus: &Bus) {
        let keys: Vec<_> = db.campaigns().map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.check_whole(db, &key);
        }
        self.check_ops(db);
        self.check_streams(db, bus);
        let failed = db.timers.all().filter(|row| row.state == TimerState::Failed);
        let without_letter = failed.into_iter().find(|row| {
            let origin = row.timer.id.to_string();
            !db.letters.all().any(|letter| letter.letter.origin == origin)
        });
        if let Some(row) = without_letter {
            self.breaks(format!("timer {} of {} was given up, and there is no letter", row.timer.id, row.key));
        }
    }

    /// The outbound stream holds every position exactly once, in order.
    fn check_streams(&mut self, db: &Database, bus: &Bus) {
        let told = bus.outbound.entries();
        let committed = db.journal().iter().map(|record| (record.position, record.fact.id));
        if let Some((wanted, found)) = committed.clone().zip(told).find(|(wanted, found)| wanted != *found) {
            self.breaks(format!("the stream has {} where {} must be", found.0, wanted.0));
        }
        if told.len() as u64 != bus.outbound.mark().0 || told.len() > db.journal().len() {
            let (mark, head) = (bus.outbound.mark(), db.head());
            self.breaks(format!("the stream holds {} entries; told are {mark} of {head}", told.len()));
        }
    }

    /// What is stored can be written down and read again, and the chain over it holds.
    pub(crate) fn check_stored_forms(&mut self, db: &Database) {
        let mut previous = wire::chain::GENESIS;
        for record in db.journal() {
            let stored = wire::stored::encode_entry(&record.fact.entry);
            match wire::stored::decode_entry(stored.kind, &stored.data) {
                Ok(entry) if entry == record.fact.entry => {}
                Ok(_) => self.breaks(format!("record {} reads back as another one", record.position)),
                Err(error) => self.breaks(format!("record {} cannot be read back: {error}", record.position)),
            }
            let link = wire::chain::link(&previous, &row(record, stored.kind, &stored.data));
            if link == previous {
                self.breaks(format!("the chain stands still at {}", record.position));
            }
            previous = link;
        }
        for (key, stored) in db.campaigns() {
            let text = wire::stored::encode_campaign(&stored.campaign);
            if wire::stored::decode_campaign(key, &text).ok().as_ref() != Some(&stored.campaign) {
                self.breaks(format!("campaign {key} reads back as another one"));
            }
        }
    }
}

fn row<'a>(record: &'a Record, kind: &'a str, data: &'a str) -> wire::chain::ChainRow<'a> {
    let (Position(position), fact) = (record.position, &record.fact);
    wire::chain::ChainRow {
        position,
        id: fact.id,
        at_micros: fact.at.timestamp_micros(),
        tenant: fact.tenant.as_str(),
        actor_kind: fact.actor.kind.as_str(),
        actor_subject: &fact.actor.subject,
        command: fact.cause.command.as_ref().map(domain::CommandId::as_str),
        correlation: fact.cause.correlation.as_deref(),
        kind,
        data,
    }
}
