//! A fresh database for a test, cloned from a template that was migrated once.

use anyhow::{Context as _, Result, bail};

use crate::{psql, shared};

/// The lock of whoever makes a template.
const MAKING: &str = "hashtext('lifecycle test template')";

/// A leftover is there when somebody was killed while making the template.
const BEGIN_TEMPLATE: &str = "\
    DROP DATABASE IF EXISTS :\"unfinished\" WITH (FORCE);
    CREATE DATABASE :\"unfinished\";
";

/// The driver of `migrate` may have left without the server having noticed, and a database with guests is not cloned.
const FINISH_TEMPLATE: &str = "\
    ALTER DATABASE :\"unfinished\" WITH ALLOW_CONNECTIONS false;
    SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = :'unfinished';
    ALTER DATABASE :\"unfinished\" RENAME TO :\"template\";
";

/// Prints the name of the clone, or nothing when there is no such template. Names are made by the server, which gives
/// none twice, whatever killed tests left behind.
const CLONE: &str = "\
    SELECT EXISTS (SELECT FROM pg_database WHERE datname = :'template') AS known,
        'test_' || replace(gen_random_uuid()::text, '-', '') AS name \\gset
    \\if :known
        CREATE DATABASE :\"name\" TEMPLATE :\"template\";
        \\echo :name
    \\endif
";

/// A database of one test; dropped with this, whoever is still connected.
#[derive(Debug)]
pub struct FreshDatabase {
    name: String,
}

impl FreshDatabase {
    /// Its address.
    pub fn url(&self) -> String {
        shared::postgres_url(&self.name)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs SQL in it and gives what `psql` prints: a line a row, values between `|`.
    ///
    /// # Panics
    /// When the SQL fails.
    pub fn psql(&self, sql: &str) -> String {
        psql::run(&self.url(), &[], sql).unwrap_or_else(|error| panic!("{error:#}\n{sql}"))
    }
}

impl Drop for FreshDatabase {
    fn drop(&mut self) {
        let dropped =
            psql::run(&maintenance(), &[("name", &self.name)], "DROP DATABASE IF EXISTS :\"name\" WITH (FORCE);");
        if let Err(error) = dropped {
            eprintln!("database {} stays behind: {error:#}", self.name);
        }
    }
}

/// A database of its own in the shared server, as `migrate` leaves it.
///
/// `migrate` gets the address of an empty database and runs once per `template`, whose name therefore holds a digest of
/// the migrations: letters, digits and `_`.
///
/// # Panics
/// Without servers (see [`shared`]), or when the database could not be made.
pub fn fresh(template: &str, migrate: impl FnOnce(&str)) -> FreshDatabase {
    let made = || {
        check_name(template)?;
        if let Some(database) = clone(template)? {
            return Ok(database);
        }
        make(template, migrate)?;
        clone(template)?.with_context(|| format!("template {template} is gone again"))
    };
    made().unwrap_or_else(|error: anyhow::Error| panic!("no fresh database: {error:#}"))
}

/// `None`: there is no such template.
fn clone(template: &str) -> Result<Option<FreshDatabase>> {
    let name = psql::run(&maintenance(), &[("template", template)], CLONE)?;
    Ok(if name.is_empty() { None } else { Some(FreshDatabase { name }) })
}

/// Makes the template unless somebody else did meanwhile. It gets its name when it is finished.
fn make(template: &str, migrate: impl FnOnce(&str)) -> Result<()> {
    let mut lock = psql::Session::open(&maintenance())?;
    lock.value(&format!("SELECT pg_advisory_lock({MAKING})"))?;
    if lock.value(&format!("SELECT EXISTS (SELECT FROM pg_database WHERE datname = '{template}')"))? == "t" {
        return Ok(());
    }
    let unfinished = format!("{template}_unfinished");
    let variables = [("template", template), ("unfinished", unfinished.as_str())];
    psql::run(&maintenance(), &variables, BEGIN_TEMPLATE)?;
    migrate(&shared::postgres_url(&unfinished));
    psql::run(&maintenance(), &variables, FINISH_TEMPLATE)?;
    Ok(())
}

fn maintenance() -> String {
    shared::postgres_url("postgres")
}

fn check_name(template: &str) -> Result<()> {
    // PostgreSQL cuts names at 63.
    let fits = (1..=50).contains(&template.len())
        && template.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !fits {
        bail!("`{template}` is no name for a template: up to 50 of a-z, 0-9 and _");
    }
    Ok(())
}
