//! The inbound stream with its consumer group.

use std::collections::BTreeMap;

use domain::Timestamp;
use ports::inbound::{Delivery, EntryId, RawEntry};

/// The stream.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stream {
    entries: BTreeMap<u64, Entry>,
    last_id: u64,
    group: Option<Group>,
    /// The highest term that was served.
    term: u64,
}

#[derive(Debug, Clone)]
struct Entry {
    raw: RawEntry,
    at: Timestamp,
}

#[derive(Debug, Clone, Default)]
struct Group {
    delivered: u64,
    pending: BTreeMap<u64, Pending>,
}

#[derive(Debug, Clone)]
struct Pending {
    consumer: String,
    since: Timestamp,
    deliveries: u32,
}

/// Why a call is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A higher term was served.
    Fenced,
    /// There is no group.
    NoGroup,
}

impl Stream {
    pub(crate) fn append(&mut self, raw: RawEntry, at: Timestamp) -> EntryId {
        // As on Redis, ids tell the time, so that no id comes again after a loss.
        let now = u64::try_from(at.timestamp_micros()).unwrap_or(0);
        self.last_id = now.max(self.last_id + 1);
        self.entries.insert(self.last_id, Entry { raw, at });
        entry_id(self.last_id)
    }

    /// Makes the group unless it is there.
    pub(crate) fn make_group(&mut self, at_end: bool) {
        let delivered = if at_end { self.last_id } else { 0 };
        self.group.get_or_insert(Group { delivered, pending: BTreeMap::new() });
    }

    fn serve(&mut self, term: u64, fenced: bool) -> Result<&mut Group, Refusal> {
        if fenced && term < self.term {
            return Err(Refusal::Fenced);
        }
        self.term = self.term.max(term);
        self.group.as_mut().ok_or(Refusal::NoGroup)
    }

    /// Hands out new entries.
    pub(crate) fn take(
        &mut self,
        consumer: &str,
        (term, fenced): (u64, bool),
        max: usize,
        now: Timestamp,
    ) -> Result<Vec<Delivery>, Refusal> {
        let delivered = self.serve(term, fenced)?.delivered;
        let new: Vec<u64> = self.entries.range(delivered + 1..).take(max).map(|(id, _)| *id).collect();
        let group = self.serve(term, fenced)?;
        for id in &new {
            group.delivered = *id;
            let pending = Pending { consumer: consumer.to_owned(), since: now, deliveries: 1 };
            group.pending.insert(*id, pending);
        }
        Ok(new.into_iter().filter_map(|id| self.delivery(id)).collect())
    }

    /// Hands out what is pending with `owner`, or with anybody, for `idle` or longer.
    pub(crate) fn claim(
        &mut self,
        consumer: &str,
        (term, fenced): (u64, bool),
        owner: Option<&str>,
        idle: chrono::TimeDelta,
        max: usize,
        now: Timestamp,
    ) -> Result<Vec<Delivery>, Refusal> {
        self.serve(term, fenced)?;
        let entries = &self.entries;
        let group = self.group.as_mut().ok_or(Refusal::NoGroup)?;
        let mut claimed = Vec::new();
        // What is gone is pending no longer, and does not count: fewer than `max` are all there are.
        group.pending.retain(|id, pending| {
            let is_due = now - pending.since >= idle && owner.is_none_or(|owner| pending.consumer == owner);
            if !is_due || claimed.len() == max {
                return true;
            }
            if !entries.contains_key(id) {
                return false;
            }
            consumer.clone_into(&mut pending.consumer);
            pending.since = now;
            pending.deliveries += 1;
            claimed.push(*id);
            true
        });
        Ok(claimed.into_iter().filter_map(|id| self.delivery(id)).collect())
    }

    fn delivery(&self, id: u64) -> Option<Delivery> {
        let entry = self.entries.get(&id)?;
        let deliveries = self.group.as_ref().and_then(|group| group.pending.get(&id)).map_or(1, |p| p.deliveries);
        Some(Delivery {
            id: entry_id(id),
            raw: entry.raw.clone(),
            event: wire::inbound::decode(&entry.raw),
            appended_at: entry.at,
            deliveries,
        })
    }

    pub(crate) fn acknowledge(&mut self, term: u64, fenced: bool, ids: &[EntryId]) -> Result<(), Refusal> {
        match self.serve(term, fenced) {
            Ok(group) => {
                for id in ids.iter().filter_map(number) {
                    group.pending.remove(&id);
                }
                Ok(())
            }
            // There is nothing to take an entry off.
            Err(Refusal::NoGroup) => Ok(()),
            Err(Refusal::Fenced) => Err(Refusal::Fenced),
        }
    }

    /// Whether something is there that the group was not handed, or no group to be handed anything.
    pub(crate) fn has_news(&self) -> bool {
        self.group.as_ref().is_none_or(|group| group.delivered < self.last_id)
    }

    pub(crate) fn term(&self) -> u64 {
        self.term
    }

    pub(crate) fn oldest_unread(&self) -> Option<Timestamp> {
        let Some(group) = &self.group else { return self.entries.values().next().map(|entry| entry.at) };
        let pending = group.pending.keys().find_map(|id| self.entries.get(id));
        pending.or_else(|| self.entries.range(group.delivered + 1..).next().map(|(_, e)| e)).map(|entry| entry.at)
    }

    pub(crate) fn lose_group(&mut self) {
        self.group = None;
    }

    /// Deletes an entry that is pending; answers its fields.
    pub(crate) fn delete_pending(&mut self, nth: usize) -> Option<RawEntry> {
        let id = *self.group.as_ref()?.pending.keys().nth(nth)?;
        self.entries.remove(&id).map(|entry| entry.raw)
    }

    pub(crate) fn pending(&self) -> usize {
        self.group.as_ref().map_or(0, |group| group.pending.len())
    }
}

fn entry_id(id: u64) -> EntryId {
    EntryId(format!("{id}-0"))
}

fn number(id: &EntryId) -> Option<u64> {
    id.0.strip_suffix("-0")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn entries_that_are_gone_do_not_keep_those_behind_them_from_being_taken_over() {
        let (mut stream, now) = (Stream::default(), Timestamp::default());
        for _ in 0..4 {
            stream.append(RawEntry::default(), now);
        }
        stream.make_group(false);
        assert_eq!(stream.take("one", (1, true), 4, now).map(|new| new.len()).ok(), Some(4));
        stream.delete_pending(0);
        stream.delete_pending(1);
        let taken = stream.claim("two", (2, true), None, TimeDelta::zero(), 2, now).ok();
        let ids = taken.map(|taken| taken.into_iter().map(|delivery| delivery.id.0).collect::<Vec<_>>());
        assert_eq!(ids, Some(vec!["3-0".to_owned(), "4-0".to_owned()]));
        assert_eq!(stream.pending(), 2);
    }
}
