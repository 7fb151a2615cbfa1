//! The two servers that most tests share, and the environment that tells tests where they are.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::tls::Authority;
use crate::{Postgres, Redis};

const POSTGRES: &str = "LIFECYCLE_TEST_POSTGRES";
const REDIS: &str = "LIFECYCLE_TEST_REDIS";
const REDIS_TLS: &str = "LIFECYCLE_TEST_REDIS_TLS";
const CA: &str = "LIFECYCLE_TEST_CA";

/// Where the ports of kept servers begin, so that they are mostly the same.
const KEPT_PORTS: (u16, u16) = (25_432, 26_379);

/// Both servers; dropped, both are gone.
#[derive(Debug)]
pub struct Servers {
    postgres: Postgres,
    redis: Redis,
}

impl Servers {
    /// For tests: fast, and nothing survives.
    pub fn throw_away() -> Result<Self> {
        let authority = Authority::new()?;
        Ok(Self { postgres: Postgres::forgetful(&authority)?, redis: Redis::forgetful(&authority)? })
    }

    /// For development: the data stays in `folder`.
    pub fn kept(folder: &Path) -> Result<Self> {
        let authority = Authority::new()?;
        Ok(Self {
            postgres: Postgres::kept(&authority, folder, KEPT_PORTS.0)?,
            redis: Redis::kept(&authority, folder, KEPT_PORTS.1)?,
        })
    }

    /// What tests need in their environment.
    pub fn environment(&self) -> [(&'static str, String); 4] {
        [
            (POSTGRES, self.postgres.base_url()),
            (REDIS, self.redis.url()),
            (REDIS_TLS, self.redis.tls_url()),
            (CA, self.redis.ca().display().to_string()),
        ]
    }

    /// PostgreSQL.
    pub fn postgres(&self) -> &Postgres {
        &self.postgres
    }

    /// Redis.
    pub fn redis(&self) -> &Redis {
        &self.redis
    }
}

/// Whether the environment names servers that run already.
pub fn is_set() -> bool {
    [POSTGRES, REDIS, REDIS_TLS, CA].iter().all(|name| std::env::var_os(name).is_some())
}

/// The address of a database of the shared PostgreSQL.
///
/// # Panics
/// Without the environment of `cargo xtask test`; so do the others here.
pub fn postgres_url(database: &str) -> String {
    format!("{}/{database}", variable(POSTGRES))
}

/// The address of the shared Redis.
pub fn redis_url() -> String {
    variable(REDIS)
}

/// Its address with TLS.
pub fn redis_tls_url() -> String {
    variable(REDIS_TLS)
}

/// The authority of both servers' certificates, as PEM. PostgreSQL's TLS is on its one port, with the name `localhost`.
pub fn ca() -> PathBuf {
    variable(CA).into()
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!(
            "{name} is not set: this test needs servers. Run `cargo xtask test`, or `cargo xtask servers` in another \
             terminal and paste what it prints"
        )
    })
}
