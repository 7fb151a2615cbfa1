//! `lifecycle migrate`: the tables of the PostgreSQL database, up, down and how they stand.

use adapters_postgres::{PostgresSettings, migrate};
use serde_json::json;

use crate::cli::{Format, Migrate, MigrateArgs, MigrateUp, Report, Settings};
use crate::commands::block_on;
use crate::failure::Failure;
use crate::{output, wiring};

pub(crate) fn run(settings: &Settings, options: &MigrateArgs) -> Result<(), Failure> {
    let config = settings.load()?.config;
    let database = wiring::database(&config)?;
    block_on(async {
        match &options.action {
            None => up(&database, &options.up).await,
            Some(Migrate::Up(options)) => up(&database, options).await,
            Some(Migrate::Down(options)) => {
                if !options.yes {
                    return Err(Failure::Usage(
                        "taking a migration back drops what it made, data included. Make a backup, stop every instance, \
                         and say --yes"
                            .to_owned(),
                    ));
                }
                let taken_back = migrate::down(&database).await?;
                listed(&options.report, "takenBack", taken_back.as_slice())
            }
            Some(Migrate::Status(report)) => status(report, &migrate::status(&database).await?),
        }
    })
}

async fn up(database: &PostgresSettings, options: &MigrateUp) -> Result<(), Failure> {
    if !options.dry_run {
        return listed(&options.report, "applied", &migrate::up(database).await?);
    }
    let missing = migrate::status(database).await?.into_iter().filter(|migration| !migration.applied);
    listed(&options.report, "missing", &missing.map(|migration| migration.name).collect::<Vec<_>>())
}

/// Tells what was done to which migrations.
fn listed(report: &Report, what: &str, migrations: &[String]) -> Result<(), Failure> {
    if report.output == Format::Json {
        return Ok(output::json(&json!({ what: migrations }))?);
    }
    if migrations.is_empty() {
        return Ok(output::line("nothing to do: the database is up to date")?);
    }
    let verb = match what {
        "missing" => "would be applied",
        "takenBack" => "taken back",
        _ => "applied",
    };
    for migration in migrations {
        output::line(&format!("{migration}  {verb}"))?;
    }
    Ok(())
}

fn status(report: &Report, migrations: &[migrate::Migration]) -> Result<(), Failure> {
    let pending = migrations.iter().filter(|migration| !migration.applied).count();
    let unknown = migrations.iter().filter(|migration| !migration.known).count();
    if report.output == Format::Json {
        let items: Vec<_> = migrations
            .iter()
            .map(|m| json!({ "version": m.version, "name": m.name, "applied": m.applied, "known": m.known }))
            .collect();
        output::json(&json!({ "migrations": items, "upToDate": pending == 0 && unknown == 0 }))?;
    } else {
        for migration in migrations {
            let state = match (migration.applied, migration.known) {
                (true, true) => "applied",
                (true, false) => "applied by a newer version of lifecycle",
                (false, _) => "missing",
            };
            output::line(&format!("{}  {state}", migration.name))?;
        }
    }
    match (pending, unknown) {
        (0, 0) => Ok(()),
        (_, 0) => Err(Failure::Check(format!("{pending} migrations are missing; `lifecycle migrate up` applies them"))),
        _ => Err(Failure::Check(
            "the database was migrated by a newer version of lifecycle; run that version or a later one".to_owned(),
        )),
    }
}
