//! What is put to the test: three instances behind a balancer, PostgreSQL with a standby, Redis with a replica, and a proxy
//! of ours on every link.

mod balancer;
mod http;
mod instance;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use test_servers::{Postgres, Redis};
use testkit::{Mode, Proxy, Role, Token, migrate};
use tokio::runtime::Handle;

use crate::interrupt::wait;
use balancer::Balancer;
pub(crate) use instance::{Holdings, Instance};

const DATABASE: &str = "lifecycle";

/// How many instances there are.
const INSTANCES: usize = 3;

/// How long servers and instances may take until they are what they should be.
const PATIENCE: Duration = Duration::from_mins(1);

/// The whole of it; dropped, all is gone. Fields are dropped in their order: clients before servers.
pub(crate) struct Rig {
    balancer: Balancer,
    pub(crate) instances: Vec<Instance>,
    /// From the standby to the primary.
    pub(crate) replication: Proxy,
    /// From Redis' replica to its primary.
    pub(crate) redis_replication: Proxy,
    /// From the load to Redis; no fault touches it.
    outside: Proxy,
    /// The primary first.
    postgres: Vec<Postgres>,
    redis: Vec<Redis>,
    binary: PathBuf,
    runtime: Handle,
    folder: TempDir,
}

impl Rig {
    /// Starts everything.
    pub(crate) fn build(binary: &Path, runtime: &Handle, seed: u64) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("lifecycle-chaos-").tempdir()?;
        // Panics of the servers' crate tell what is missing on this machine.
        let (primary, redis) = (Postgres::start(), [Redis::start(), Redis::start()]);
        primary.make_database(DATABASE)?;
        let binary_text = binary.to_str().context("the binary's path is no text")?;
        migrate(binary_text, &primary.url(DATABASE));
        let proxy = |port, salt| runtime.block_on(Proxy::to(&[local(port)], seed.wrapping_add(salt)));
        let (replication, redis_replication) = (proxy(primary.port(), 101)?, proxy(redis[0].port(), 102)?);
        let standby = Postgres::standby_of(replication.address())?;
        follow(&redis[1], redis_replication.address())?;
        let mut instances = Vec::new();
        for number in 0..INSTANCES {
            let servers = (local(primary.port()), local(redis[0].port()));
            instances.push(Instance::new(number, binary, folder.path(), runtime, servers, seed)?);
        }
        instances.iter_mut().try_for_each(Instance::spawn)?;
        instances.iter_mut().try_for_each(Instance::attach)?;
        let balancer = Balancer::before(instances.iter().map(|instance| instance.http.address()).collect());
        let rig = Self {
            balancer: runtime.block_on(balancer)?,
            instances,
            replication,
            redis_replication,
            outside: proxy(redis[0].port(), 103)?,
            postgres: vec![primary, standby],
            redis: redis.into(),
            binary: binary.to_owned(),
            runtime: runtime.clone(),
            folder,
        };
        ensure!(wait(PATIENCE, || rig.is_ready())?.is_some(), "the instances do not get ready");
        ensure!(wait(PATIENCE, || rig.is_replicated())?.is_some(), "the replicas do not follow");
        Ok(rig)
    }

    /// Where callers go.
    pub(crate) fn service(&self) -> SocketAddr {
        self.balancer.address()
    }

    /// Where producers and readers find Redis.
    pub(crate) fn outside_redis(&self) -> SocketAddr {
        self.outside.address()
    }

    /// The folder for what is written during a run.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A token of an admin, for as long as any run takes.
    pub(crate) fn token() -> String {
        Token::of(&[Role::Admin]).seconds(24 * 3600).mint()
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.instances.iter().all(Instance::is_ready)
    }

    fn is_replicated(&self) -> bool {
        let streams = self.sql("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'");
        let linked = self.redis[1].try_cli(&["INFO", "replication"]);
        streams.is_ok_and(|count| count == "1") && linked.is_ok_and(|info| info.contains("master_link_status:up"))
    }

    /// The server that takes commits.
    pub(crate) fn postgres(&self) -> &Postgres {
        &self.postgres[0]
    }

    /// The server that follows it.
    pub(crate) fn standby(&self) -> &Postgres {
        &self.postgres[1]
    }

    /// The server that takes commands.
    pub(crate) fn redis(&self) -> &Redis {
        &self.redis[0]
    }

    /// The server that follows it.
    pub(crate) fn redis_replica(&self) -> &Redis {
        &self.redis[1]
    }

    /// Runs SQL on the primary, past all proxies; a line a row, values between `|`.
    pub(crate) fn sql(&self, sql: &str) -> Result<String> {
        self.postgres().try_psql(DATABASE, sql)
    }

    /// The one number that `sql` answers.
    pub(crate) fn number<T: std::str::FromStr>(&self, sql: &str) -> Result<T> {
        let answer = self.sql(sql)?;
        answer.trim().parse().ok().with_context(|| format!("{answer:?} is no number: {sql}"))
    }

    /// Runs SQL on the primary for as long as it takes, without waiting for it.
    pub(crate) fn sql_beside(&self, sql: &str) -> std::thread::JoinHandle<Result<()>> {
        let (url, sql) = (self.postgres().url(DATABASE), sql.to_owned());
        std::thread::spawn(move || {
            let psql = test_servers::find::psql()?;
            let ran =
                Command::new(psql).args(["-X", "-q", "-d", &url, "-c", &sql]).env("PGSSLMODE", "disable").output()?;
            ensure!(ran.status.success(), "{sql}: {}", String::from_utf8_lossy(&ran.stderr));
            Ok(())
        })
    }

    /// Every link of all instances to PostgreSQL.
    pub(crate) fn postgres_links(&self, mode: Mode) {
        self.instances.iter().for_each(|instance| instance.postgres.set(mode));
    }

    /// Every link of all instances to Redis.
    pub(crate) fn redis_links(&self, mode: Mode) {
        self.instances.iter().for_each(|instance| instance.redis.set(mode));
    }

    /// The standby becomes the primary, and all who look for it are led there; what is open stays open.
    pub(crate) fn promote_standby(&mut self) -> Result<()> {
        self.standby().try_psql("postgres", "SELECT pg_promote()")?;
        self.postgres.swap(0, 1);
        let address = local(self.postgres().port());
        self.instances.iter().for_each(|instance| instance.postgres.lead_to(&[address]));
        Ok(())
    }

    /// One instance is led to the server that only reads, and cut off from where it was.
    pub(crate) fn lead_to_standby(&self, number: usize) {
        self.lead(number, self.standby());
    }

    /// And back again.
    pub(crate) fn lead_to_primary(&self, number: usize) {
        self.lead(number, self.postgres());
    }

    fn lead(&self, number: usize, server: &Postgres) {
        let link = &self.instances[number].postgres;
        link.lead_to(&[local(server.port())]);
        link.cut();
    }

    /// Where what waits for sockets runs.
    pub(crate) fn runtime(&self) -> Handle {
        self.runtime.clone()
    }

    /// Redis' replica becomes the primary, and the old one its replica; all are led there, and the load is cut off.
    pub(crate) fn promote_redis(&mut self) -> Result<()> {
        self.redis_replica().try_cli(&["REPLICAOF", "NO", "ONE"])?;
        self.redis.swap(0, 1);
        let address = local(self.redis().port());
        self.instances.iter().for_each(|instance| instance.redis.lead_to(&[address]));
        self.outside.lead_to(&[address]);
        self.outside.cut();
        follow(self.redis_replica(), address)
    }

    /// Runs a command of the binary on the primary to its end; what it wrote is an error when it failed.
    pub(crate) fn lifecycle(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(&self.binary)
            .args(arguments)
            .current_dir(self.folder.path())
            .env("DATABASE_URL", format!("{}?sslmode=disable", self.postgres().url(DATABASE)))
            .env("REDIS_URL", self.redis().url())
            .env("LIFECYCLE_LOG__LEVEL", "error")
            .output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        ensure!(output.status.success(), "lifecycle {}: {}\n{out}\n{err}", arguments.join(" "), output.status);
        Ok(out)
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn follow(replica: &Redis, primary: SocketAddr) -> Result<()> {
    replica.try_cli(&["REPLICAOF", &primary.ip().to_string(), &primary.port().to_string()]).map(drop)
}
