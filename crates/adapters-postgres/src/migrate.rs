//! Migrations of the database: which there are, which were applied, and how to go up and down.

use diesel::migration::{MigrationSource, MigrationVersion};
use diesel::pg::Pg;
use diesel::sql_types::{BigInt, Text};
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use std::time::Duration;

use crate::connect::{Connector, Role};
use crate::open_error::{OpenError, Whom};
use crate::settings::PostgresSettings;
use crate::tls::{PRIMARY, Server};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// How long a migration waits for another one.
const WAIT: Duration = Duration::from_secs(30);

/// Between two looks whether the other one ended.
const PAUSE: Duration = Duration::from_millis(200);

/// The key of the advisory lock that only one migration may hold: "LIFE".
const LOCK: i64 = 0x4C49_4645;

/// A migration, as the program or the database knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// Its version, which orders them.
    pub version: String,
    /// Its whole name; only the version where this program does not know it.
    pub name: String,
    /// Whether the database has it.
    pub applied: bool,
    /// Whether this program has it.
    pub known: bool,
}

/// Applies what is missing; answers the versions that were applied.
///
/// # Errors
/// [`OpenError`] says what to do.
pub async fn up(settings: &PostgresSettings) -> Result<Vec<String>, OpenError> {
    let (mut connection, whom) = connect(settings).await?;
    take_lock(&mut connection, &whom).await?;
    check_not_newer(&listed(&mut connection, &whom).await?, &whom)?;
    harness(connection, |harness| {
        let done = harness.run_pending_migrations(MIGRATIONS)?;
        Ok(done.iter().map(ToString::to_string).collect())
    })
    .await
}

/// Takes back the last migration; answers its version, or nothing where there was none.
///
/// # Errors
/// [`OpenError`] says what to do.
pub async fn down(settings: &PostgresSettings) -> Result<Option<String>, OpenError> {
    let (mut connection, whom) = connect(settings).await?;
    take_lock(&mut connection, &whom).await?;
    let listed = listed(&mut connection, &whom).await?;
    check_not_newer(&listed, &whom)?;
    if !listed.iter().any(|migration| migration.applied) {
        return Ok(None);
    }
    harness(connection, |harness| Ok(Some(harness.revert_last_migration(MIGRATIONS)?.to_string()))).await
}

/// Every migration that the program or the database knows, oldest first.
///
/// # Errors
/// [`OpenError`] says what to do.
pub async fn status(settings: &PostgresSettings) -> Result<Vec<Migration>, OpenError> {
    let (mut connection, whom) = connect(settings).await?;
    listed(&mut connection, &whom).await
}

/// Whether the database is as this program needs it.
pub(crate) async fn check(connection: &mut AsyncPgConnection, whom: &Whom) -> Result<(), OpenError> {
    let listed = listed(connection, whom).await?;
    check_not_newer(&listed, whom)?;
    match listed.into_iter().find(|migration| !migration.applied) {
        Some(missing) => Err(OpenError::NotMigrated { setting: whom.setting, version: missing.version }),
        None => Ok(()),
    }
}

fn check_not_newer(listed: &[Migration], whom: &Whom) -> Result<(), OpenError> {
    match listed.iter().find(|migration| !migration.known) {
        Some(newer) => Err(OpenError::Newer { setting: whom.setting, version: newer.version.clone() }),
        None => Ok(()),
    }
}

async fn connect(settings: &PostgresSettings) -> Result<(AsyncPgConnection, Whom), OpenError> {
    let connector = Connector::new(Server::parse(PRIMARY, &settings.url)?, Role::Patient, settings);
    Ok((connector.connect().await?, connector.whom().clone()))
}

/// Held until the connection ends.
async fn take_lock(connection: &mut AsyncPgConnection, whom: &Whom) -> Result<(), OpenError> {
    let trouble = |e| OpenError::server(whom, "the lock of the migrations cannot be taken", e);
    let mut waited = Duration::ZERO;
    loop {
        let free: bool = diesel::select(
            diesel::dsl::sql::<diesel::sql_types::Bool>("pg_try_advisory_lock(").bind::<BigInt, _>(LOCK).sql(")"),
        )
        .get_result(connection)
        .await
        .map_err(trouble)?;
        if free {
            return Ok(());
        }
        if waited >= WAIT {
            return Err(OpenError::MigrationUnderWay { waited });
        }
        tokio::time::sleep(PAUSE).await;
        waited += PAUSE;
    }
}

async fn listed(connection: &mut AsyncPgConnection, whom: &Whom) -> Result<Vec<Migration>, OpenError> {
    let trouble = |e: diesel::result::Error| OpenError::server(whom, "its version cannot be read", e);
    let table: Option<String> = diesel::select(diesel::dsl::sql::<diesel::sql_types::Nullable<Text>>(
        "to_regclass('__diesel_schema_migrations')::text",
    ))
    .get_result(connection)
    .await
    .map_err(trouble)?;
    let mut applied: Vec<String> = Vec::new();
    if table.is_some() {
        applied = diesel::dsl::sql::<Text>("SELECT version FROM __diesel_schema_migrations ORDER BY version")
            .load(connection)
            .await
            .map_err(trouble)?;
    }
    let known =
        MigrationSource::<Pg>::migrations(&MIGRATIONS).map_err(|e| OpenError::Migration { detail: e.to_string() })?;
    let mut listed: Vec<Migration> = known
        .iter()
        .map(|migration| {
            let version = version_of(&migration.name().version());
            let applied = applied.contains(&version);
            Migration { version, name: migration.name().to_string(), applied, known: true }
        })
        .collect();
    let unknown = applied.into_iter().filter(|version| !listed.iter().any(|m| m.version == *version));
    let unknown: Vec<_> =
        unknown.map(|version| Migration { name: version.clone(), version, applied: true, known: false }).collect();
    listed.extend(unknown);
    listed.sort_by(|a, b| a.version.cmp(&b.version));
    Ok(listed)
}

fn version_of(version: &MigrationVersion<'_>) -> String {
    version.to_string()
}

/// diesel's migrations are synchronous: they run on a thread that may block.
async fn harness<T: Send + 'static>(
    connection: AsyncPgConnection,
    work: impl FnOnce(&mut AsyncMigrationHarness<AsyncPgConnection>) -> diesel::migration::Result<T> + Send + 'static,
) -> Result<T, OpenError> {
    let done = tokio::task::spawn_blocking(move || {
        work(&mut AsyncMigrationHarness::new(connection)).map_err(|e| OpenError::Migration { detail: e.to_string() })
    });
    done.await.unwrap_or_else(|e| Err(OpenError::Migration { detail: e.to_string() }))
}
