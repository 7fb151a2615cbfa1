//! Leases, and the instances that are there, by the store's clock.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use domain::Timestamp;
use ports::instances::{Instance, SeenInstance};

/// All leases.
#[derive(Debug, Default)]
pub(crate) struct Leases(BTreeMap<&'static str, Lease>);

#[derive(Debug)]
struct Lease {
    holder: String,
    term: u64,
    until: Timestamp,
}

impl Leases {
    /// Answers the term, or nothing while somebody else has it.
    pub(crate) fn hold(&mut self, name: &'static str, holder: &str, now: Timestamp, lasting: TimeDelta) -> Option<u64> {
        let until = now + lasting;
        let lease = self.0.entry(name).or_insert_with(|| Lease { holder: String::new(), term: 0, until: now });
        let is_over = lease.until <= now;
        if lease.holder != holder && !is_over {
            return None;
        }
        if lease.holder != holder || is_over {
            lease.term += 1;
        }
        holder.clone_into(&mut lease.holder);
        lease.until = until;
        Some(lease.term)
    }

    pub(crate) fn release(&mut self, name: &'static str, holder: &str, now: Timestamp) {
        if let Some(lease) = self.0.get_mut(name).filter(|lease| lease.holder == holder && lease.until > now) {
            lease.until = now;
        }
    }
}

/// Who gave a sign of life.
#[derive(Debug, Default)]
pub(crate) struct Present(BTreeMap<String, SeenInstance>);

impl Present {
    pub(crate) fn beat(&mut self, instance: &Instance, now: Timestamp) {
        self.0.insert(instance.id.clone(), SeenInstance { instance: instance.clone(), seen_at: now });
    }

    pub(crate) fn leave(&mut self, id: &str) {
        self.0.remove(id);
    }

    /// Longest running first.
    pub(crate) fn alive(&self, since: Timestamp) -> Vec<SeenInstance> {
        let mut alive: Vec<_> = self.0.values().filter(|seen| seen.seen_at >= since).cloned().collect();
        alive.sort_by_key(|seen| seen.instance.started_at);
        alive
    }
}
