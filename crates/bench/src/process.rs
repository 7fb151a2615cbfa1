//! The real binary as a child process, on either wiring.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Resource, Rlimit};

use crate::servers::Place;

/// The key that tokens are signed with.
const SECRET: &str = "a-secret-for-measurements-only-0123456789";

/// The program under test, and where it keeps its data.
#[derive(Clone)]
pub(crate) struct Program {
    binary: PathBuf,
    environment: Vec<(String, String)>,
}

impl Program {
    /// On the file at `store`.
    pub(crate) fn embedded(binary: &Path, store: &Path) -> Self {
        Self::new(binary).with("LIFECYCLE_EMBEDDED__PATH", store.display())
    }

    /// On servers.
    pub(crate) fn on_servers(binary: &Path, place: &Place<'_>) -> Self {
        // The servers speak no TLS; without the word the service would say so at each start.
        let database = format!("{}?sslmode=disable", place.database_url());
        Self::new(binary).with("DATABASE_URL", database).with("REDIS_URL", place.redis_url())
    }

    /// Limits that protect a service from its callers are lifted: the load comes from one address and one token. All else
    /// has its defaults.
    fn new(binary: &Path) -> Self {
        Self { binary: binary.to_owned(), environment: Vec::new() }
            .with("LIFECYCLE_AUTH__HS256_SECRET", SECRET)
            .with("LIFECYCLE_LIMITS__TOKEN_PER_SECOND", 1_000_000)
            .with("LIFECYCLE_LIMITS__TOKEN_BURST", 1_000_000)
            .with("LIFECYCLE_HTTP__MAX_CONNECTIONS_PER_ADDRESS", 12_000)
            .with("LIFECYCLE_LOG__LEVEL", "warn")
    }

    /// The same with a setting.
    #[expect(clippy::needless_pass_by_value, reason = "callers give what they have just made")]
    pub(crate) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.environment.push((name.to_owned(), value.to_string()));
        self
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs one of its commands to the end; gives what it printed.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command(arguments).output()?;
        let text = || String::from_utf8_lossy(&output.stdout).trim().to_owned();
        ensure!(
            output.status.success(),
            "{arguments:?}: {}\n{}{}",
            output.status,
            text(),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(text())
    }

    /// Nothing lost, doubled or out of order, or the measurement is void.
    pub(crate) fn verify(&self) -> Result<()> {
        self.run(&["verify"]).map(drop).context("the store is not as it must be")
    }

    /// A token of an admin.
    pub(crate) fn token(&self) -> Result<String> {
        self.run(&["token", "--sub", "bench", "--role", "admin", "--ttl", "8h"])
    }

    /// Starts the service and waits until it is ready.
    pub(crate) async fn serve(&self) -> Result<Service> {
        let token = self.token()?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let url = format!("http://127.0.0.1:{port}");
        let begun = Instant::now();
        let child = self
            .command(&["serve"])
            .env("LIFECYCLE_HTTP__LISTEN", format!("127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("{} cannot be started", self.binary.display()))?;
        let mut service = Service { child, url, token, ready_after: Duration::ZERO };
        let client = reqwest::Client::new();
        loop {
            if let Ok(response) = client.get(format!("{}/readyz", service.url)).send().await
                && response.status().is_success()
            {
                service.ready_after = begun.elapsed();
                return Ok(service);
            }
            if let Some(status) = service.child.try_wait()? {
                bail!("the service ended with {status}");
            }
            if begun.elapsed() > Duration::from_mins(2) {
                bail!("the service did not become ready");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Lets this process and those that it starts open `count` files and sockets.
pub(crate) fn allow_files(count: usize) -> Result<()> {
    let count = u64::try_from(count)?;
    let limit = rustix::process::getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= count) {
        return Ok(());
    }
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current: Some(count), maximum: limit.maximum })
        .with_context(|| format!("{count} open files are needed; raise the hard limit (`ulimit -Hn {count}`)"))
}

/// A running `lifecycle serve`, killed when dropped.
pub(crate) struct Service {
    child: Child,
    pub(crate) url: String,
    /// Of an admin.
    pub(crate) token: String,
    /// From its start to its first 200 on `/readyz`.
    pub(crate) ready_after: Duration,
}

impl Service {
    /// Resident memory in MiB, by the system's own word for it: `VmRSS` now, `VmHWM` at most.
    pub(crate) fn memory(&self, word: &str) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(':'));
        let kib: f64 = line.with_context(|| format!("no {word}"))?.trim_end_matches("kB").trim().parse()?;
        Ok(kib / 1024.0)
    }

    /// Seconds of CPU time that it has used.
    pub(crate) fn cpu(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name, the second field, may have blanks; the 14th and 15th are in 1/100 s on every Linux.
        let (_, fields) = stat.rsplit_once(')').context("no name")?;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
        Ok(ticks.sum::<Result<f64, _>>()? / 100.0)
    }

    /// How many files and sockets it holds.
    pub(crate) fn handles(&self) -> Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count())
    }

    /// Asks it to stop, and waits.
    pub(crate) fn stop(mut self) -> Result<()> {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        ensure!(told.success(), "it cannot be told to stop");
        let status = self.child.wait()?;
        ensure!(status.success(), "it ended with {status}");
        Ok(())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
