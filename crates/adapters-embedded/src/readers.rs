//! A few connections that only read. Every call runs in one read transaction: one consistent moment, begun after the call.

use std::sync::{Arc, Mutex, PoisonError};

use diesel::SqliteConnection;
use diesel::prelude::*;
use ports::PortError;
use tokio::sync::Semaphore;

use crate::failure::{Failure, unavailable};
use crate::file;

/// How many reads run at once. More would only wait for the same disk and cores, and each has its own page cache.
const READERS: usize = 3;

/// Connections that only read.
pub(crate) struct Readers {
    path: Arc<str>,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<SqliteConnection>>>,
}

impl Readers {
    pub(crate) fn new(path: &str) -> Self {
        Self { path: Arc::from(path), permits: Arc::new(Semaphore::new(READERS)), idle: Arc::default() }
    }

    /// Runs `work` off the async threads.
    pub(crate) async fn read<T, F>(&self, work: F) -> Result<T, PortError>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T, Failure> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(unavailable)?;
        let idle = Arc::clone(&self.idle);
        let path = Arc::clone(&self.path);
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let known = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut connection = match known {
                Some(connection) => connection,
                None => file::connect_reader(&path).map_err(unavailable)?,
            };
            let result = connection.transaction(work);
            // After an error, or a panic, nobody knows what state it is in: the next read opens another one.
            if result.is_ok() {
                idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            }
            result.map_err(|Failure(error)| error)
        });
        task.await.map_err(unavailable)?
    }
}
