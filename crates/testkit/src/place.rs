//! Where services on servers keep their data: a database and a key prefix for one test, on the shared servers or on
//! servers of its own.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use test_servers::database::{FreshDatabase, fresh};
use test_servers::{Postgres, Redis, shared};

/// The database of servers of its own.
const DATABASE: &str = "lifecycle";

/// A database and a key prefix of their own; gone with this.
pub struct Place {
    servers: Servers,
}

enum Servers {
    Shared(FreshDatabase),
    Own(Box<(Postgres, Redis)>),
}

impl Place {
    /// A fresh one on the shared servers, migrated by `binary` as an operator would.
    ///
    /// # Panics
    /// Without servers, or when it cannot be migrated.
    pub fn fresh(binary: &str) -> Self {
        Self { servers: Servers::Shared(fresh(&template(), |url| migrate(binary, url))) }
    }

    /// One on servers of its own, which can be killed and started again.
    ///
    /// # Panics
    /// When they do not start, or it cannot be migrated.
    pub fn own(binary: &str) -> Self {
        let (postgres, redis) = (Postgres::start(), Redis::start());
        postgres.make_database(DATABASE).expect("a database");
        migrate(binary, &postgres.url(DATABASE));
        Self { servers: Servers::Own(Box::new((postgres, redis))) }
    }

    /// Its own PostgreSQL.
    ///
    /// # Panics
    /// On the shared servers.
    pub fn postgres(&self) -> &Postgres {
        match &self.servers {
            Servers::Own(own) => &own.0,
            Servers::Shared(_) => panic!("the servers are shared"),
        }
    }

    /// Its own Redis.
    ///
    /// # Panics
    /// On the shared servers.
    pub fn redis(&self) -> &Redis {
        match &self.servers {
            Servers::Own(own) => &own.1,
            Servers::Shared(_) => panic!("the servers are shared"),
        }
    }

    /// The database's address.
    pub fn database_url(&self) -> String {
        match &self.servers {
            Servers::Shared(database) => database.url(),
            Servers::Own(own) => own.0.url(DATABASE),
        }
    }

    /// The bus' address.
    pub fn redis_url(&self) -> String {
        match &self.servers {
            Servers::Shared(_) => shared::redis_url(),
            Servers::Own(own) => own.1.url(),
        }
    }

    /// What every key begins with.
    pub fn prefix(&self) -> String {
        match &self.servers {
            Servers::Shared(database) => format!("{}:", database.name()),
            Servers::Own(_) => String::new(),
        }
    }

    /// Runs SQL; gives a line a row, values between `|`.
    ///
    /// # Panics
    /// When the SQL fails.
    pub fn psql(&self, sql: &str) -> String {
        match &self.servers {
            Servers::Shared(database) => database.psql(sql),
            Servers::Own(own) => own.0.psql(DATABASE, sql),
        }
    }

    /// Runs a command of Redis on the key called `key`, prefix aside: `redis_command("XLEN", "lifecycle-events", &[])`.
    /// Words of the command that hold spaces are told apart by `|`.
    ///
    /// # Panics
    /// When it fails.
    pub fn redis_command(&self, command: &str, key: &str, rest: &[&str]) -> Value {
        let key = format!("{}{key}", self.prefix());
        let output = Command::new("redis-cli")
            .args(["-u", &self.redis_url(), "--json"])
            .args(command.split('|'))
            .arg(key)
            .args(rest)
            .output()
            .expect("redis-cli runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{command}: {text} {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{command}: {error}: {text}"))
    }

    /// The ids of a stream's entries, in order.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn entry_ids(&self, stream: &str) -> Vec<(u64, u64)> {
        let entries = self.redis_command("XRANGE", stream, &["-", "+"]);
        let entries = entries.as_array().expect("entries");
        let id = |entry: &Value| {
            let (position, k) = entry[0].as_str()?.split_once('-')?;
            Some((position.parse().ok()?, k.parse().ok()?))
        };
        entries.iter().map(|entry| id(entry).unwrap_or_else(|| panic!("no id: {entry}"))).collect()
    }

    /// What a service is told to work here.
    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        let settings = [
            ("DATABASE_URL", self.database_url()),
            ("REDIS_URL", self.redis_url()),
            ("LIFECYCLE_REDIS__PREFIX", self.prefix()),
        ];
        settings.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

/// Brings the database at `url` up to date with `lifecycle migrate`.
///
/// # Panics
/// When that fails.
pub fn migrate(binary: &str, url: &str) {
    let migrated = Command::new(binary).args(["migrate", "up"]).env("DATABASE_URL", url).output();
    let migrated = migrated.expect("the binary runs");
    let told = String::from_utf8_lossy(&migrated.stderr);
    assert!(migrated.status.success(), "lifecycle migrate up: {told}");
}

/// A name that changes with the migrations.
fn template() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations/postgres");
    let mut files = Vec::new();
    for migration in std::fs::read_dir(folder).expect("the migrations are there") {
        let migration = migration.expect("a readable folder").path();
        files.extend(std::fs::read_dir(migration).expect("a folder").map(|file| file.expect("a file").path()));
    }
    files.sort();
    let mut digest = DefaultHasher::new();
    for file in &files {
        std::fs::read_to_string(file).expect("a readable migration").hash(&mut digest);
    }
    format!("scenarios_{:016x}", digest.finish())
}
