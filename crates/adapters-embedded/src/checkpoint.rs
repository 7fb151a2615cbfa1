//! Moves committed pages from the write-ahead log into the database, beside the writer. Left to SQLite, the writer would do
//! it within some commit, whose callers then wait tens of milliseconds longer than all others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::Integer;

/// How often it looks whether there is something to move.
const INTERVAL: Duration = Duration::from_secs(1);

/// Once the log has so many pages, the writer is asked to let it begin anew.
const LONG_LOG: i32 = 4_000;

/// What the writer and the checkpointer tell each other.
#[derive(Debug, Default)]
pub(crate) struct LogState {
    commits: AtomicU64,
    nearly_done: AtomicBool,
}

impl LogState {
    /// The writer committed. Answers whether it should move the last few pages itself: while it writes, the log never
    /// comes to an end otherwise.
    pub(crate) fn committed(&self) -> bool {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.nearly_done.swap(false, Ordering::Relaxed)
    }
}

/// The thread that does it. Dropping this ends it.
pub(crate) struct Checkpointer {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(crate) fn start(connection: SqliteConnection, log: Arc<LogState>) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let work = move || run(connection, &log, &stopped);
        let thread = std::thread::Builder::new().name("store-log".to_owned()).spawn(work)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by the panic hook; here is nothing left to do about it.
            let _ = thread.join();
        }
    }
}

#[derive(QueryableByName)]
struct Moved {
    #[diesel(sql_type = Integer)]
    log: i32,
    #[diesel(sql_type = Integer)]
    checkpointed: i32,
}

fn run(mut connection: SqliteConnection, log: &LogState, stopped: &mpsc::Receiver<()>) {
    let mut seen = 0;
    while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
        let commits = log.commits.load(Ordering::Relaxed);
        if commits == seen {
            continue;
        }
        match sql_query("PRAGMA wal_checkpoint(PASSIVE)").get_result::<Moved>(&mut connection) {
            Ok(moved) => {
                let left = moved.log - moved.checkpointed;
                if left == 0 {
                    seen = commits;
                } else if moved.log > LONG_LOG {
                    log.nearly_done.store(true, Ordering::Relaxed);
                }
            }
            // The writer's own, rare checkpoint is the net; a disk that fails is told by the commits.
            Err(error) => tracing::warn!(%error, "the write-ahead log could not be moved"),
        }
    }
}

/// Moves what is left, on the writer's connection, between two commits.
pub(crate) fn finish(connection: &mut SqliteConnection) {
    if let Err(error) = connection.batch_execute("PRAGMA wal_checkpoint(PASSIVE)") {
        tracing::warn!(%error, "the write-ahead log could not be moved");
    }
}
