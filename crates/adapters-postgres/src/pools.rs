//! Connections that wait for work. A connection is given back only by somebody who knows that it is in order.

use std::ops::{Deref, DerefMut};

use deadpool::Runtime;
use deadpool::managed::{self, Object, RecycleError, RecycleResult, Timeouts};
use diesel_async::AsyncPgConnection;
use diesel_async::pooled_connection::PoolableConnection;
use ports::PortError;

use crate::connect::Connector;
use crate::failure::unavailable;
use crate::open_error::OpenError;
use crate::settings::PostgresSettings;

/// Connections of one kind to one server.
pub(crate) type Pool = managed::Pool<Connector>;

impl managed::Manager for Connector {
    type Type = AsyncPgConnection;
    type Error = OpenError;

    async fn create(&self) -> Result<AsyncPgConnection, OpenError> {
        // Large, and seldom: it must not make every future that waits for a connection as large.
        Box::pin(self.connect()).await
    }

    async fn recycle(&self, connection: &mut AsyncPgConnection, _: &managed::Metrics) -> RecycleResult<OpenError> {
        // Costs no round trip: the task behind a connection sees at once when the server closes it.
        if connection.is_broken() { Err(RecycleError::message("it is closed")) } else { Ok(()) }
    }
}

/// A pool that holds nothing yet.
pub(crate) fn pool(connector: Connector, size: usize, settings: &PostgresSettings) -> Pool {
    let timeouts = Timeouts { wait: Some(settings.wait), create: Some(settings.connect), recycle: Some(settings.wait) };
    let builder = Pool::builder(connector).max_size(size.max(1)).timeouts(timeouts).runtime(Runtime::Tokio1);
    builder.build().unwrap_or_else(|error| unreachable!("time limits have a runtime: {error}"))
}

/// A connection out of a pool, which goes back by [`Lent::give_back`] only. Whoever drops it (a panic, a caller that went
/// away, a limit that ran out) leaves nobody a connection in the middle of something: it is closed.
pub(crate) struct Lent(Option<Object<Connector>>);

impl Lent {
    /// Waits for a connection.
    pub(crate) async fn from(pool: &Pool) -> Result<Self, PortError> {
        let object = pool.get().await.map_err(|error| match error {
            managed::PoolError::Backend(error) => unavailable(error),
            other => unavailable(other),
        })?;
        Ok(Self(Some(object)))
    }

    /// It is in order, and in no transaction.
    pub(crate) fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            drop(Object::take(object));
        }
    }
}

impl Deref for Lent {
    type Target = AsyncPgConnection;

    fn deref(&self) -> &AsyncPgConnection {
        match &self.0 {
            Some(object) => object,
            None => unreachable!("it was given back, which takes it away"),
        }
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut AsyncPgConnection {
        match &mut self.0 {
            Some(object) => object,
            None => unreachable!("it was given back, which takes it away"),
        }
    }
}
