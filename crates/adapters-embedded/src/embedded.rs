//! The embedded store as a whole: one file, its writer, its readers. What each port does with them lives beside this.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use diesel::SqliteConnection;
use ports::PortError;
use ports::clock::Clock;
use ports::wakeups::Wakeups;
use tokio::sync::watch;

use crate::checkpoint::{Checkpointer, LogState};
use crate::failure::{Failure, STORE};
use crate::feed::{Publication, take_mark};
use crate::file::{self, OpenError};
use crate::journal::Head;
use crate::readers::Readers;
use crate::recent::Recent;
use crate::store_clock::StoreClock;
use crate::writer::{Audience, Unit, Writer};

/// What can be set about the embedded store.
#[derive(Debug, Clone)]
pub struct EmbeddedSettings {
    /// How far back clients may resume. The journal itself is kept for ever.
    pub resume_retention: Duration,
}

impl Default for EmbeddedSettings {
    fn default() -> Self {
        Self { resume_retention: Duration::from_hours(7 * 24) }
    }
}

/// One SQLite file that is store, bus and dead-letter queue. Dropping it waits for the commit that is under way.
pub struct Embedded {
    pub(crate) clock: Arc<StoreClock>,
    pub(crate) recent: Arc<Recent>,
    pub(crate) publication: Publication,
    pub(crate) settings: EmbeddedSettings,
    /// Changes whenever inbound entries were appended.
    pub(crate) arrivals: watch::Receiver<()>,
    /// The highest term that a consumer was served in. Leases do not outlive the process, and neither does it.
    pub(crate) consumer_term: Arc<AtomicU64>,
    /// Whether the last attempt to write something failed.
    pub(crate) failing: Arc<AtomicBool>,
    readers: Readers,
    _checkpointer: Option<Checkpointer>,
    writer: Option<Writer>,
    // Last, so that it is given back when all else is closed.
    _lock: Option<File>,
}

impl Embedded {
    /// Opens the file at `path` for this process alone; creates or migrates it where needed. Blocks for some milliseconds.
    ///
    /// # Errors
    /// [`OpenError`] says what to do.
    pub fn open(
        path: &Path,
        settings: EmbeddedSettings,
        clock: Arc<dyn Clock>,
        wakeups: Arc<dyn Wakeups>,
    ) -> Result<Arc<Self>, OpenError> {
        let (path, url) = file::resolve(path)?;
        file::create(&path)?;
        let lock = file::lock(&path)?;
        let mut connection = file::connect_writer(&path, &url)?;
        let head = read_head(&path, &mut connection)?;
        let top = take_mark(&mut connection, head.position).map_err(|failure| unreadable(&path, failure))?;
        let top = Arc::new(AtomicU64::new(top.0));
        let clock = Arc::new(StoreClock::new(clock, head.at));
        let recent = Arc::new(Recent::new(head.position));
        let publication = Publication::new(Arc::clone(&top));
        let (arrived, arrivals) = watch::channel(());
        let log = Arc::new(LogState::default());
        let no_thread = |source| OpenError::Io { path: path.clone(), source };
        let beside = file::connect_checkpointer(&path, &url)?;
        let failing = Arc::new(AtomicBool::new(false));
        let audience = Audience {
            recent: Arc::clone(&recent),
            wakeups,
            arrivals: arrived,
            failing: Arc::clone(&failing),
            top,
            log: Arc::clone(&log),
        };
        let writer = Writer::start(connection, head, Arc::clone(&clock), audience).map_err(no_thread)?;
        let checkpointer = Checkpointer::start(beside, log).map_err(no_thread)?;
        Ok(Arc::new(Self {
            clock,
            recent,
            publication,
            settings,
            arrivals,
            consumer_term: Arc::default(),
            failing,
            readers: Readers::new(&url),
            _checkpointer: Some(checkpointer),
            writer: Some(writer),
            _lock: Some(lock),
        }))
    }

    /// Opens the file at `path` to look at it, also while another process works with it; every write is refused.
    ///
    /// # Errors
    /// [`OpenError`] says what to do.
    pub fn open_offline(path: &Path, clock: Arc<dyn Clock>) -> Result<Arc<Self>, OpenError> {
        let (path, url) = file::resolve(path)?;
        let mut connection = file::check_readable(&path, &url)?;
        let head = read_head(&path, &mut connection)?;
        let (_, arrivals) = watch::channel(());
        Ok(Arc::new(Self {
            clock: Arc::new(StoreClock::new(clock, head.at)),
            recent: Arc::new(Recent::new(head.position)),
            publication: Publication::new(Arc::new(AtomicU64::new(head.position.0))),
            settings: EmbeddedSettings::default(),
            arrivals,
            consumer_term: Arc::default(),
            failing: Arc::default(),
            readers: Readers::new(&url),
            _checkpointer: None,
            writer: None,
            _lock: None,
        }))
    }

    /// Waits until nothing can be written any more because the thread that writes is gone: it panicked outside of any request.
    /// What was committed is safe; only another process can go on.
    pub fn broken(&self) -> impl Future<Output = ()> + Send + use<> {
        // Their sender lives in that thread.
        let mut arrivals = self.arrivals.clone();
        async move { while arrivals.changed().await.is_ok() {} }
    }

    /// Runs `work` on one consistent moment.
    pub(crate) async fn on_reader<T, F>(&self, work: F) -> Result<T, PortError>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T, Failure> + Send + 'static,
    {
        self.readers.read(work).await
    }

    /// Runs `work` within a commit.
    pub(crate) async fn on_writer<T, F>(&self, work: F) -> Result<T, PortError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Unit<'_>) -> Result<T, Failure> + Send + 'static,
    {
        match &self.writer {
            Some(writer) => writer.write(work).await,
            None => Err(PortError::Refused { what: STORE, detail: "it was opened for reading only".to_owned() }),
        }
    }
}

fn read_head(path: &Path, connection: &mut SqliteConnection) -> Result<Head, OpenError> {
    Head::read(connection).map_err(|failure| unreadable(path, failure))
}

fn unreadable(path: &Path, Failure(error): Failure) -> OpenError {
    OpenError::Sqlite { path: path.to_owned(), what: "the end of its journal cannot be read", source: error.into() }
}
