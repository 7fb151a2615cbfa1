//! New connections: time limits of both ends, the session's settings, and whether the server is the one that we need.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel::dsl::sql;
use diesel::sql_types::{Bool, Integer};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use tokio_postgres::NoTls;

use crate::open_error::{OpenError, is_tls};
use crate::settings::PostgresSettings;
use crate::tls::Server;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Units of work: the server must take writes.
    Writer,
    /// Reads.
    Reader,
    /// Whatever may take long: migrations, read models.
    Patient,
}

/// Makes connections of one kind to one server.
pub(crate) struct Connector {
    server: Server,
    role: Role,
    session: String,
    within: Duration,
    /// TLS was tried in vain, and was not insisted on.
    plain: AtomicBool,
}

/// The server ends a transaction that writes nothing and is left alone for so long. Nobody waits for it, and it may decode
/// much between two statements.
const READER_IDLE: Duration = Duration::from_secs(3);

/// A unit of work finds all of its rows by keys or in the order of an index. The planner does not know how few they are, since
/// they come as arrays, and reads and hashes a whole table for them while that is small. It is to look for no other way, to
/// keep nothing of what it found for a second look that never comes, and not to plan each time anew.
const BY_INDEX: &str = "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; \
    SET enable_mergejoin = off; SET enable_memoize = off; SET enable_material = off; \
    SET plan_cache_mode = force_generic_plan;";

/// Takes back what only units of work want, for work that reads a lot.
pub(crate) const BY_ANY_WAY: &str = "RESET enable_seqscan; RESET enable_bitmapscan; RESET enable_hashjoin; \
    RESET enable_mergejoin; RESET enable_memoize; RESET enable_material; RESET plan_cache_mode;";

/// The oldest version that has all that we use.
const OLDEST: i32 = 150_000;

impl Connector {
    pub(crate) fn new(mut server: Server, role: Role, settings: &PostgresSettings) -> Self {
        server
            .config
            .application_name(format!("lifecycle/{}", settings.instance))
            .connect_timeout(settings.connect)
            .tcp_user_timeout(Duration::from_secs(8))
            .keepalives(true)
            .keepalives_idle(Duration::from_secs(5))
            .keepalives_interval(Duration::from_secs(2))
            .keepalives_retries(3);
        let statement = if role == Role::Patient { 0 } else { settings.statement.as_millis() };
        let idle = if role == Role::Writer { settings.idle_in_transaction } else { READER_IDLE };
        let session = format!(
            "SET statement_timeout = {statement}; SET lock_timeout = {lock}; \
             SET idle_in_transaction_session_timeout = {idle}; SET timezone = 'UTC'; SET jit = off; \
             SET max_parallel_workers_per_gather = 0; {plans}",
            plans = if role == Role::Writer { BY_INDEX } else { "" },
            lock = settings.lock.as_millis(),
            idle = idle.as_millis(),
        );
        Self { server, role, session, within: settings.connect, plain: AtomicBool::new(false) }
    }

    /// Whom errors speak of.
    pub(crate) fn whom(&self) -> &crate::open_error::Whom {
        &self.server.whom
    }

    /// A connection that may be used at once.
    pub(crate) async fn connect(&self) -> Result<AsyncPgConnection, OpenError> {
        // The driver's own limit ends with the TCP connection; a server may hang after that.
        match tokio::time::timeout(self.within, self.connect_and_check()).await {
            Ok(answer) => answer,
            Err(_) => Err(OpenError::too_slow(self.whom())),
        }
    }

    async fn connect_and_check(&self) -> Result<AsyncPgConnection, OpenError> {
        let mut connection = self.raw().await?;
        let trouble = |what| move |e: diesel::result::Error| OpenError::server(self.whom(), what, e);
        connection.batch_execute(&self.session).await.map_err(trouble("it refused the session's settings"))?;
        // Ends the work of a client that went away. Servers on some systems cannot, and say so by an error.
        let _ = connection.batch_execute("SET client_connection_check_interval = 1000").await;
        let (version, standby): (i32, bool) = diesel::select((
            sql::<Integer>("current_setting('server_version_num')::integer"),
            sql::<Bool>("pg_is_in_recovery()"),
        ))
        .get_result(&mut connection)
        .await
        .map_err(trouble("its version cannot be read"))?;
        if version < OLDEST {
            let version = format!("{}.{}", version / 10_000, version % 10_000);
            return Err(OpenError::TooOld { at: self.whom().at.clone(), version });
        }
        if standby && self.role != Role::Reader {
            return Err(OpenError::Standby { setting: self.whom().setting, at: self.whom().at.clone() });
        }
        Ok(connection)
    }

    async fn raw(&self) -> Result<AsyncPgConnection, OpenError> {
        if let Some(tls) = &self.server.tls
            && !AtomicBool::load(&self.plain, Ordering::Relaxed)
        {
            match self.server.config.connect(tls.clone()).await {
                Ok((client, connection)) => {
                    let ready = AsyncPgConnection::try_from_client_and_connection(client, connection).await;
                    return ready.map_err(|e| OpenError::server(self.whom(), "it refused the session", e));
                }
                Err(error) if self.server.plain_too && is_tls(&error) => {
                    // Said once, however many connections come up.
                    if !self.plain.swap(true, Ordering::Relaxed) {
                        let at = &self.whom().at;
                        tracing::warn!(at, %error, "connections to PostgreSQL are not encrypted; sslmode=verify-full insists");
                    }
                }
                Err(error) => return Err(OpenError::connecting(self.whom(), error)),
            }
        }
        let mut config = self.server.config.clone();
        config.ssl_mode(tokio_postgres::config::SslMode::Disable);
        let connected = config.connect(NoTls).await;
        let (client, connection) = connected.map_err(|e| OpenError::connecting(self.whom(), e))?;
        let ready = AsyncPgConnection::try_from_client_and_connection(client, connection).await;
        ready.map_err(|e| OpenError::server(self.whom(), "it refused the session", e))
    }
}
