//! The embedded wiring: every port on one SQLite file, or in this process.

use std::path::Path;
use std::sync::Arc;

use adapters_embedded::cache::LocalCache;
use adapters_embedded::limits::LocalRateLimiter;
use adapters_embedded::sole::Sole;
use adapters_embedded::wakeups::LocalWakeups;
use adapters_embedded::{Embedded, EmbeddedSettings, OpenError};
use application::ForgetCommands;

use crate::config::Config;
use crate::failure::{Failure, chain};
use crate::wiring::backend::{Backend, Background, Process};
use crate::wiring::limit_settings;

/// Opens the data file for this process alone; makes it where there is none.
pub(super) fn open(config: &Config, process: &Process) -> Result<Backend, Failure> {
    let path = &config.embedded.path;
    let fresh = !path.exists();
    let wakeups = LocalWakeups::new();
    let settings = EmbeddedSettings { resume_retention: config.websocket.resume_retention.0 };
    let store = Embedded::open(path, settings, Arc::clone(&process.clock), wakeups.clone())
        .map_err(|error| cannot_open(&error))?;
    let sole = Sole::new(Arc::clone(&process.clock));
    // Without the thread that writes there is nothing left to do but to start again.
    let broken = Arc::downgrade(&store);
    let writer = Background::new("writer", move |stop| {
        let broken = broken.upgrade().map(|store| store.broken());
        async move {
            if let Some(broken) = broken {
                stop.run_until_cancelled(broken).await;
            }
        }
    });
    let forget = ForgetCommands::new(store.clone(), Arc::clone(&process.clock), config.inbox.retention.0);
    Ok(Backend {
        queries: store.clone(),
        outbox: store.clone(),
        publisher: store.clone(),
        feed: store.clone(),
        inbound: store.clone(),
        dead_letters: store.clone(),
        verification: store.clone(),
        streams: None,
        store,
        instances: sole.clone(),
        leases: sole,
        wakeups,
        cache: Arc::new(LocalCache::new(config.cache.campaigns, config.cache.bytes)),
        limiter: Arc::new(LocalRateLimiter::new(&limit_settings(config), Arc::clone(&process.clock))),
        upkeep: vec![Arc::new(forget)],
        background: vec![writer.vital()],
        place: path.display().to_string(),
        fresh,
    })
}

/// Opens the data file to look at it; also beside a serving process.
pub(super) fn look(config: &Config, process: &Process) -> Result<Arc<Embedded>, Failure> {
    Embedded::open_offline(&config.embedded.path, Arc::clone(&process.clock)).map_err(|error| cannot_open(&error))
}

/// A command that works on what there is must not make an empty store for a mistyped path.
pub(super) fn must_exist(path: &Path) -> Result<(), Failure> {
    if path.exists() {
        return Ok(());
    }
    Err(cannot_open(&OpenError::Missing { path: path.to_owned() }))
}

fn cannot_open(error: &OpenError) -> Failure {
    let text = chain(error);
    match error {
        OpenError::Path { .. } | OpenError::Missing { .. } | OpenError::NotOurs { .. } => Failure::Usage(text),
        OpenError::Io { .. } | OpenError::InUse { .. } | OpenError::Newer { .. } | OpenError::Older { .. } => {
            Failure::Unavailable(text)
        }
        OpenError::Damaged { .. } | OpenError::Sqlite { .. } => Failure::Internal(text),
    }
}
