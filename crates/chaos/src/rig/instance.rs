//! One instance of the service: the real binary, behind a proxy on each of its three links.

use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use testkit::{Proxy, Role, SECRET, Token};
use tokio::runtime::Handle;

use super::http;
use crate::interrupt::wait;

/// How long it may take to get ready, or to end.
const PATIENCE: Duration = Duration::from_mins(1);

/// A process, or the place of one.
pub(crate) struct Instance {
    pub(crate) number: usize,
    /// From the balancer.
    pub(crate) http: Proxy,
    pub(crate) postgres: Proxy,
    pub(crate) redis: Proxy,
    binary: PathBuf,
    folder: PathBuf,
    runtime: Handle,
    child: Option<Child>,
    address: Option<SocketAddr>,
    /// What its environment has beside ours: for faults that change what it runs in.
    pub(crate) environment: Vec<(String, String)>,
}

/// What a process holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holdings {
    pub(crate) memory_kib: u64,
    /// Beside the connections of callers, which go to whom the balancer chooses.
    pub(crate) files: u64,
}

impl Instance {
    /// One that does not run yet, in a folder of its own below `folder`.
    pub(super) fn new(
        number: usize,
        binary: &Path,
        folder: &Path,
        runtime: &Handle,
        (postgres, redis): (SocketAddr, SocketAddr),
        seed: u64,
    ) -> Result<Self> {
        let folder = folder.join(format!("instance-{number}"));
        std::fs::create_dir_all(&folder)?;
        let link = |target: &[SocketAddr], salt| runtime.block_on(Proxy::to(target, seed.wrapping_add(salt)));
        let salt = 10 * number as u64;
        Ok(Self {
            number,
            http: link(&[], salt + 1)?,
            postgres: link(&[postgres], salt + 2)?,
            redis: link(&[redis], salt + 3)?,
            binary: binary.to_owned(),
            folder,
            runtime: runtime.clone(),
            child: None,
            address: None,
            environment: Vec::new(),
        })
    }

    /// Starts it, and waits for nothing.
    pub(crate) fn spawn(&mut self) -> Result<()> {
        ensure!(self.child.is_none(), "instance {} runs already", self.number);
        let log = self.open_log()?;
        let database = format!("postgres://lifecycle:lifecycle@{}/lifecycle?sslmode=disable", self.postgres.address());
        let child = Command::new(&self.binary)
            .arg("serve")
            .current_dir(&self.folder)
            .env("DATABASE_URL", database)
            .env("REDIS_URL", format!("redis://{}", self.redis.address()))
            .env("LIFECYCLE_HTTP__LISTEN", "127.0.0.1:0")
            .env("LIFECYCLE_AUTH__HS256_SECRET", SECRET)
            .env("LIFECYCLE_LOG__FORMAT", "json")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("{} cannot be started", self.binary.display()))?;
        self.child = Some(child);
        self.address = None;
        Ok(())
    }

    /// Waits until it listens, and lets its link lead there.
    pub(crate) fn attach(&mut self) -> Result<()> {
        let listens = wait(PATIENCE, || self.finds_address() || self.has_ended())?;
        if let Some(address) = self.address
            && listens.is_some()
        {
            self.http.lead_to(&[address]);
            return Ok(());
        }
        bail!("instance {} does not start:\n{}", self.number, self.log())
    }

    /// Starts it, and waits until it listens.
    pub(crate) fn start(&mut self) -> Result<()> {
        self.spawn()?;
        self.attach()
    }

    /// The log of this run says where it listens.
    fn finds_address(&mut self) -> bool {
        self.address = address_in(&self.log());
        self.address.is_some()
    }

    fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    /// Whether it runs, as far as we know: it may have ended by itself.
    pub(crate) fn is_there(&mut self) -> bool {
        !self.has_ended()
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.address.is_some_and(|address| self.runtime.block_on(http::is_ready(address)))
    }

    /// The page at `path`, past all proxies.
    pub(crate) fn get(&self, path: &str) -> Result<(u16, String)> {
        let address = self.address.context("it does not listen")?;
        let token = Token::of(&[Role::Admin]).mint();
        self.runtime.block_on(http::get(address, path, &token))
    }

    /// Kills it as `kill -9` does.
    pub(crate) fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("it does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_raw(i32::try_from(self.id()?)?).context("no process")?, signal)?;
        Ok(())
    }

    /// Its process id.
    pub(crate) fn id(&self) -> Result<u32> {
        Ok(self.child.as_ref().context("it does not run")?.id())
    }

    /// Takes note that it has ended by itself.
    pub(crate) fn bury(&mut self) -> Result<()> {
        let mut child = self.child.take().context("it does not run")?;
        ensure!(child.try_wait()?.is_some(), "instance {} still runs", self.number);
        Ok(())
    }

    /// Asks it to stop; answers how long that took.
    pub(crate) fn stop(&mut self) -> Result<Duration> {
        self.signal(Signal::TERM)?;
        let took = wait(PATIENCE, || self.has_ended())?.context("it does not stop")?;
        let status = self.child.take().context("it does not run")?.wait()?;
        ensure!(status.success(), "instance {} ended with {status}", self.number);
        Ok(took)
    }

    pub(crate) fn holdings(&self) -> Result<Holdings> {
        let process = PathBuf::from(format!("/proc/{}", self.id()?));
        let status = std::fs::read_to_string(process.join("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let memory_kib = line.trim_end_matches("kB").trim().parse()?;
        let files = std::fs::read_dir(process.join("fd"))?.count() as u64;
        let port = self.address.context("it does not listen")?.port();
        let callers = callers(&std::fs::read_to_string(process.join("net/tcp"))?, port);
        Ok(Holdings { memory_kib, files: files.saturating_sub(callers) })
    }

    /// What it wrote since it was started.
    pub(crate) fn log(&self) -> String {
        std::fs::read(self.folder.join("log")).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
    }

    /// A file for the log of one run; the earlier one stays beside it.
    fn open_log(&self) -> Result<File> {
        let log = self.folder.join("log");
        if log.exists() {
            let mut all = OpenOptions::new().create(true).append(true).open(self.folder.join("earlier-log"))?;
            std::io::copy(&mut File::open(&log)?, &mut all)?;
        }
        Ok(OpenOptions::new().create(true).write(true).truncate(true).open(&log)?)
    }

    /// What it wrote in all runs.
    pub(crate) fn whole_log(&self) -> String {
        let earlier = std::fs::read(self.folder.join("earlier-log")).unwrap_or_default();
        format!("{}{}", String::from_utf8_lossy(&earlier), self.log())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = (child.kill(), child.wait());
        }
    }
}

/// How many connections to `port` are open at both ends, by the system's table of them. One whose caller has gone and that
/// is still held does not count.
fn callers(table: &str, port: u16) -> u64 {
    const ESTABLISHED: &str = "01";
    let port = format!(":{port:04X}");
    let is_one = |line: &&str| {
        let mut words = line.split_whitespace();
        words.nth(1).is_some_and(|local| local.ends_with(&port)) && words.nth(1) == Some(ESTABLISHED)
    };
    table.lines().filter(is_one).count() as u64
}

/// Where the service says that it listens, in the line of its log that says that it is ready.
fn address_in(log: &str) -> Option<SocketAddr> {
    let line = log.lines().rfind(|line| line.contains("ready"))?;
    let (_, rest) = line.split_once("http://")?;
    rest.split(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ':'))).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_those_who_are_still_there() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue\n\
                        0: 0100007F:1F90 00000000:0000 0A 00000000:00000000\n\
                        1: 0100007F:1F90 0100007F:C001 01 00000000:00000000\n\
                        2: 0100007F:1F90 0100007F:C002 08 00000000:00000000\n\
                        3: 0100007F:C001 0100007F:1F90 01 00000000:00000000\n";
        assert_eq!(callers(table, 8080), 1);
        assert_eq!(callers(table, 0xC001), 1);
        assert_eq!(callers(table, 80), 0);
    }
}
