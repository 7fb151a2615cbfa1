//! How many connections there are: in all, per address and per subject. Counting only; the answer to one too many is
//! given elsewhere.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::TenantId;
use ports::auth::Principal;

use crate::HubSettings;

/// Whose connection it is.
type Subject = (TenantId, String);

/// Counts connections.
pub(crate) struct Admission {
    max_connections: usize,
    max_per_address: usize,
    max_per_subject: usize,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    total: usize,
    addresses: HashMap<IpAddr, usize>,
    subjects: HashMap<Subject, usize>,
}

/// A connection's place; given back when dropped.
pub(crate) struct Seat {
    admission: Arc<Admission>,
    address: Option<IpAddr>,
    subject: Option<Subject>,
}

impl Admission {
    pub(crate) fn new(settings: &HubSettings) -> Self {
        Self {
            max_connections: settings.max_connections,
            max_per_address: settings.max_per_address,
            max_per_subject: settings.max_per_subject,
            counts: Mutex::default(),
        }
    }

    /// A place for a connection from `address`, unless there are too many.
    pub(crate) fn enter(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Seat> {
        // Behind a proxy on this machine everybody has its address.
        let address = address.filter(|a| !a.to_canonical().is_loopback());
        let mut counts = self.counts();
        if counts.total >= self.max_connections {
            return None;
        }
        if let Some(address) = address
            && !take(&mut counts.addresses, address, self.max_per_address)
        {
            return None;
        }
        counts.total += 1;
        drop(counts);
        metrics::gauge!("lifecycle_websocket_connections").increment(1);
        Some(Seat { admission: Arc::clone(self), address, subject: None })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // The counts are whole after every statement: a panic elsewhere does not spoil them.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Counts the connection for `principal`; false when it has too many.
    pub(crate) fn belongs_to(&mut self, principal: &Principal) -> bool {
        let subject = (principal.tenant.clone(), principal.subject.clone());
        if !take(&mut self.admission.counts().subjects, subject.clone(), self.admission.max_per_subject) {
            return false;
        }
        self.subject = Some(subject);
        true
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.admission.counts();
        counts.total -= 1;
        if let Some(address) = &self.address {
            give_back(&mut counts.addresses, address);
        }
        if let Some(subject) = &self.subject {
            give_back(&mut counts.subjects, subject);
        }
        drop(counts);
        metrics::gauge!("lifecycle_websocket_connections").decrement(1);
    }
}

fn take<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: K, max: usize) -> bool {
    let count = counts.entry(key).or_default();
    if *count >= max {
        return false;
    }
    *count += 1;
    true
}

fn give_back<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(total: usize, per_address: usize) -> Arc<Admission> {
        Arc::new(Admission::new(&HubSettings {
            max_connections: total,
            max_per_address: per_address,
            max_per_subject: 1,
            ..HubSettings::default()
        }))
    }

    fn principal(subject: &str) -> Principal {
        Principal {
            subject: subject.to_owned(),
            tenant: TenantId::default_tenant(),
            roles: Vec::new(),
            owner: None,
            expires_at: domain::Timestamp::default(),
        }
    }

    #[test]
    fn an_address_has_its_own_limit_and_a_place_comes_back_when_its_connection_goes() {
        let admission = admission(10, 1);
        let here = Some(IpAddr::from([192, 0, 2, 1]));
        let first = admission.enter(here).expect("the first fits");
        assert!(admission.enter(here).is_none());
        assert!(admission.enter(Some(IpAddr::from([192, 0, 2, 2]))).is_some());
        drop(first);
        assert!(admission.enter(here).is_some());
    }

    #[test]
    fn addresses_of_this_machine_count_only_in_all() {
        let admission = admission(2, 1);
        let local = Some(IpAddr::from([127, 0, 0, 1]));
        let _seats = [admission.enter(local).expect("fits"), admission.enter(local).expect("fits")];
        assert!(admission.enter(local).is_none());
    }

    #[test]
    fn a_subject_has_its_own_limit() {
        let admission = admission(10, 10);
        let mut first = admission.enter(None).expect("fits");
        let mut second = admission.enter(None).expect("fits");
        assert!(first.belongs_to(&principal("anna")));
        assert!(!second.belongs_to(&principal("anna")));
        assert!(second.belongs_to(&principal("ben")));
    }

    #[test]
    fn nothing_is_remembered_of_those_who_left() {
        let admission = admission(10, 10);
        let mut seat = admission.enter(Some(IpAddr::from([192, 0, 2, 1]))).expect("fits");
        assert!(seat.belongs_to(&principal("anna")));
        drop(seat);
        let counts = admission.counts();
        assert_eq!((counts.total, counts.addresses.len(), counts.subjects.len()), (0, 0, 0));
    }
}
