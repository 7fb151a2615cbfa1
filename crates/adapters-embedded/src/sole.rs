//! Instances and leases where there is one process: it is there, and it may do everything. The lock on the file keeps a
//! second one away. The times of both are kept all the same, so that they mean what their ports say.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::Timestamp;
use ports::PortError;
use ports::clock::Clock;
use ports::instances::{Instance, Instances, SeenInstance};
use ports::leases::Leases;

/// [`Instances`] and [`Leases`] in this process.
pub struct Sole {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    seen: HashMap<String, SeenInstance>,
    leases: HashMap<&'static str, Lease>,
}

struct Lease {
    /// None once it was released.
    holder: Option<String>,
    term: u64,
    until: Timestamp,
}

impl Sole {
    /// Nobody is there yet.
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { clock, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Instances for Sole {
    async fn beat(&self, instance: &Instance) -> Result<(), PortError> {
        let seen = SeenInstance { instance: instance.clone(), seen_at: self.clock.now() };
        self.state().seen.insert(instance.id.clone(), seen);
        Ok(())
    }

    async fn leave(&self, id: &str) -> Result<(), PortError> {
        self.state().seen.remove(id);
        Ok(())
    }

    async fn alive(&self, within: Duration) -> Result<Vec<SeenInstance>, PortError> {
        let oldest = self.clock.now() - TimeDelta::from_std(within).unwrap_or(TimeDelta::MAX);
        let mut alive: Vec<_> = self.state().seen.values().filter(|seen| seen.seen_at >= oldest).cloned().collect();
        alive.sort_by(|a, b| (a.instance.started_at, &a.instance.id).cmp(&(b.instance.started_at, &b.instance.id)));
        Ok(alive)
    }
}

#[async_trait]
impl Leases for Sole {
    async fn hold(&self, name: &'static str, holder: &str, lasting: Duration) -> Result<Option<u64>, PortError> {
        let now = self.clock.now();
        let until = now + TimeDelta::from_std(lasting).unwrap_or(TimeDelta::MAX);
        let mut state = self.state();
        let lease = state.leases.entry(name).or_insert(Lease { holder: None, term: 0, until: now });
        match &lease.holder {
            Some(other) if other != holder && lease.until > now => return Ok(None),
            Some(other) if other == holder => {}
            _ => {
                lease.holder = Some(holder.to_owned());
                lease.term += 1;
            }
        }
        lease.until = until;
        Ok(Some(lease.term))
    }

    async fn release(&self, name: &'static str, holder: &str) -> Result<(), PortError> {
        if let Some(lease) = self.state().leases.get_mut(name)
            && lease.holder.as_deref() == Some(holder)
        {
            lease.holder = None;
        }
        Ok(())
    }
}
