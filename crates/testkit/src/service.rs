//! The real binary as a process on a folder of its own: started, killed, stopped, started again, verified.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Client;
use rustix::process::{Resource, Rlimit};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::api::Api;
use crate::place::Place;
use crate::token::{SECRET, Token};
use crate::{PATIENCE, Role};

/// A running, or stopped, service.
pub struct Service {
    binary: PathBuf,
    folder: TempDir,
    /// Where it works together with others; none on the embedded store.
    place: Option<Arc<Place>>,
    settings: Vec<(String, String)>,
    address: SocketAddr,
    child: Option<Child>,
    client: Client,
}

/// What a command of the binary came to.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code.
    pub code: Option<i32>,
    /// What it wrote to the standard output stream.
    pub text: String,
    /// What it wrote to the standard error stream.
    pub messages: String,
}

impl Service {
    /// Starts `binary` on a fresh folder with these settings (`LIFECYCLE_…`) and waits until it is ready. An empty setting
    /// is taken away.
    ///
    /// # Panics
    /// When it does not get ready.
    pub async fn start(binary: &str, settings: &[(&str, &str)]) -> Self {
        let mut service = Self::prepare(binary, None, settings);
        service.launch().await;
        service
    }

    /// The same on the shared servers, in a database of its own.
    ///
    /// # Panics
    /// When it does not get ready.
    pub async fn start_on_servers(binary: &str, settings: &[(&str, &str)]) -> Self {
        Self::start_at(Arc::new(Place::fresh(binary)), binary, settings).await
    }

    /// The same at a place where others may work, too.
    ///
    /// # Panics
    /// When it does not get ready.
    pub async fn start_at(place: Arc<Place>, binary: &str, settings: &[(&str, &str)]) -> Self {
        let mut service = Self::prepare(binary, Some(place), settings);
        service.launch().await;
        service
    }

    /// A service that does not run yet.
    ///
    /// # Panics
    /// When there is no room for its folder.
    pub fn prepare(binary: &str, place: Option<Arc<Place>>, settings: &[(&str, &str)]) -> Self {
        let mut all = place.as_ref().map(|place| place.settings()).unwrap_or_default();
        all.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Self {
            binary: PathBuf::from(binary),
            folder: tempfile::tempdir().expect("a folder"),
            place,
            settings: all,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            child: None,
            client: Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client"),
        }
    }

    /// Where it works together with others.
    ///
    /// # Panics
    /// On the embedded store.
    pub fn place(&self) -> &Arc<Place> {
        self.place.as_ref().expect("it works on servers")
    }

    /// Starts it again on the same folder and waits until it is ready.
    ///
    /// # Panics
    /// When it does not get ready.
    pub async fn launch(&mut self) {
        let log_before = self.log().len();
        self.spawn();
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().expect("a process")) {
                panic!("the service ended with {status}:\n{}", self.log());
            }
            // It listens on a port of its own choice: nobody else can have taken it, or answer in its place.
            if let Some(address) = self.log().get(log_before..).and_then(address_in) {
                self.address = address;
                let answer = self.anonymous().call("GET", "/readyz").try_send().await;
                if answer.is_ok_and(|answer| answer.status == 200) {
                    return;
                }
            }
            assert!(started.elapsed() < PATIENCE, "the service does not get ready:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Starts it again on the same folder and waits for nothing.
    ///
    /// # Panics
    /// When the binary does not start.
    pub fn spawn(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        self.child = Some(self.command("serve").kill_on_drop(true).spawn().expect("the binary starts"));
    }

    /// A command of the binary, with this service's settings.
    ///
    /// # Panics
    /// When the log file cannot be opened.
    pub fn command(&self, subcommand: &str) -> Command {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log_path()).expect("a log file");
        let mut command = Command::new(&self.binary);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LIFECYCLE_")) {
            command.env_remove(name);
        }
        command
            .arg(subcommand)
            .current_dir(self.folder.path())
            .env_remove("DATABASE_URL")
            .env_remove("REDIS_URL")
            .env("LIFECYCLE_HTTP__LISTEN", "127.0.0.1:0")
            .env("LIFECYCLE_EMBEDDED__PATH", self.folder.path().join("data").join("lifecycle.db"))
            .env("LIFECYCLE_AUTH__HS256_SECRET", SECRET)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log);
        for (name, value) in &self.settings {
            if value.is_empty() {
                command.env_remove(name);
            } else {
                command.env(name, value);
            }
        }
        command
    }

    /// Kills it as `kill -9` does.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().await.expect("it can be killed");
    }

    /// Whether it was started and not stopped.
    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it does not run.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let id = self.child.as_ref().expect("it runs").id();
        let id = id.and_then(|id| i32::try_from(id).ok()).expect("it has an id");
        let process = rustix::process::Pid::from_raw(id).expect("a process");
        rustix::process::kill_process(process, signal).expect("it can be told");
    }

    /// How much memory it holds, in bytes.
    ///
    /// # Panics
    /// When it does not run, or the system does not tell.
    pub fn resident(&self) -> u64 {
        let id = self.child.as_ref().and_then(Child::id).expect("it runs");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("the system tells");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line about memory");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// Lets it open so many files and sockets, and no more.
    ///
    /// # Panics
    /// When it does not run, or cannot be told.
    pub fn allow_files(&self, count: u64) {
        let id = self.child.as_ref().and_then(Child::id).and_then(|id| i32::try_from(id).ok()).expect("it runs");
        let limit = Rlimit { current: Some(count), maximum: rustix::process::getrlimit(Resource::Nofile).maximum };
        rustix::process::prlimit(rustix::process::Pid::from_raw(id), Resource::Nofile, limit).expect("it can be told");
    }

    /// Asks it to stop (SIGTERM); answers how it ended and how long that took.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn stop(&mut self) -> (ExitStatus, Duration) {
        self.signal(rustix::process::Signal::TERM);
        let mut child = self.child.take().expect("it runs");
        let started = Instant::now();
        let status = timeout(PATIENCE, child.wait()).await.expect("it ends").expect("a status");
        (status, started.elapsed())
    }

    /// Waits until it ends by itself; answers how.
    ///
    /// # Panics
    /// When it goes on.
    pub async fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        let ended = timeout(PATIENCE, child.wait()).await;
        ended.unwrap_or_else(|_| panic!("it goes on:\n{}", self.log())).expect("a status")
    }

    /// Runs a command of the binary on its folder, to the end.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn run(&self, subcommand: &str, arguments: &[&str]) -> Ran {
        let mut command = self.command(subcommand);
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = command.output().await.expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran { code: output.status.code(), text: text(&output.stdout), messages: text(&output.stderr) }
    }

    /// Runs `lifecycle verify` on its folder.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn verify(&self) -> Ran {
        self.run("verify", &["--output", "json"]).await
    }

    /// Stops it, and checks what must hold at the end of every scenario: it stops in order and in time, nothing
    /// panicked, every invariant holds.
    ///
    /// # Panics
    /// When something of that does not hold.
    pub async fn finish(mut self) {
        let (status, took) = self.stop().await;
        assert!(status.success(), "it ended with {status}:\n{}", self.log());
        assert!(took < Duration::from_secs(10), "stopping took {took:?}");
        self.verify().await.is_clean();
        let log = self.log();
        let failed: Vec<&str> = log.lines().filter(|l| l.contains("panicked") || l.contains("\"ERROR\"")).collect();
        assert!(failed.is_empty(), "{failed:#?}");
    }

    /// A caller with a token.
    pub fn caller(&self, token: &Token) -> Api {
        self.bearer(&token.mint())
    }

    /// A caller with any text as its token.
    pub fn bearer(&self, token: &str) -> Api {
        Api::new(self.client.clone(), self.base(), Some(token.to_owned()))
    }

    /// A caller who may do everything.
    pub fn admin(&self) -> Api {
        self.caller(&Token::of(&[Role::Admin]))
    }

    /// The same, by another way: a proxy at `address`.
    pub fn admin_through(&self, address: SocketAddr) -> Api {
        let token = Token::of(&[Role::Admin]).mint();
        Api::new(self.client.clone(), format!("http://{address}"), Some(token))
    }

    /// From now on it is started where it listens now.
    pub fn stay(&mut self) {
        self.settings.push(("LIFECYCLE_HTTP__LISTEN".to_owned(), self.address.to_string()));
    }

    /// A caller without a token.
    pub fn anonymous(&self) -> Api {
        Api::new(self.client.clone(), self.base(), None)
    }

    fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("service.log")
    }

    /// Everything that it wrote.
    pub fn log(&self) -> String {
        std::fs::read(self.log_path()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}

impl Ran {
    /// What it wrote, as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks that `verify` found nothing; answers how many campaigns it looked at.
    ///
    /// # Panics
    /// When it found something.
    #[track_caller]
    pub fn is_clean(&self) -> u64 {
        assert_eq!(self.code, Some(0), "{}\n{}", self.text, self.messages);
        let report = self.json();
        assert_eq!(
            (&report["ok"], &report["violations"]),
            (&Value::Bool(true), &Value::Array(Vec::new())),
            "{report:#}"
        );
        report["campaigns"].as_u64().unwrap_or_else(|| panic!("no count of campaigns: {report:#}"))
    }
}

/// Where the service says that it listens, in the line of its log that says that it is ready.
fn address_in(log: &str) -> Option<SocketAddr> {
    let line = log.lines().rfind(|line| line.contains("ready"))?;
    let (_, rest) = line.split_once("http://")?;
    rest.split(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ':'))).next()?.parse().ok()
}
