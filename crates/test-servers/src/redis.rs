//! A Redis server in a folder of its own.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::place::Place;
use crate::ports::Port;
use crate::server::Server;
use crate::tls::{Authority, Files};
use crate::{PATIENCE, children, find};

const ARGUMENTS: &[&str] = &[
    "--bind",
    "127.0.0.1",
    // May be missing on the machine.
    "-::1",
    "--daemonize",
    "no",
    // No snapshots: the append-only file is all.
    "--save",
    "",
    "--enable-debug-command",
    "local",
    "--tls-auth-clients",
    "no",
];

const DURABLE: &[&str] = &["--appendonly", "yes", "--appendfsync", "everysec"];

/// A Redis server. Dropped, it is killed, and its folder removed.
#[derive(Debug)]
pub struct Redis {
    program: PathBuf,
    server: Server,
    port: Port,
    tls_port: Port,
    tls: Files,
    arguments: Vec<String>,
}

impl Redis {
    /// Starts a server that writes what it is told to its append-only file, and that to the disk each second.
    ///
    /// # Panics
    /// When this machine has no Redis, or it does not start.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with arguments of `redis-server`, which win over ours: `&["--maxmemory-policy", "allkeys-lru"]`.
    ///
    /// # Panics
    /// When this machine has no Redis, or it does not start.
    pub fn start_with(arguments: &[&str]) -> Self {
        let started = || {
            let place = Place::temporary(None)?;
            Self::launch(place, (Port::any()?, Port::any()?), &Authority::new()?, &[DURABLE, arguments].concat())
        };
        started().unwrap_or_else(|error| panic!("no Redis: {error:#}"))
    }

    /// A server that writes nothing down.
    pub(crate) fn forgetful(authority: &Authority) -> Result<Self> {
        let place = Place::temporary(None)?;
        Self::launch(place, (Port::any()?, Port::any()?), authority, &["--appendonly", "no"])
    }

    /// A server whose data stays in `folder`.
    pub(crate) fn kept(authority: &Authority, folder: &Path, first_port: u16) -> Result<Self> {
        let place = Place::kept(&folder.join("redis"), None)?;
        Self::launch(place, (Port::from(first_port)?, Port::from(first_port)?), authority, DURABLE)
    }

    fn launch(place: Place, ports: (Port, Port), authority: &Authority, arguments: &[&str]) -> Result<Self> {
        let data = place.file("data");
        std::fs::create_dir_all(&data).with_context(|| format!("{} could not be made", data.display()))?;
        // Kept data is put away in order.
        let at_last = if place.is_kept() { "TERM" } else { "KILL" };
        let redis = Self {
            program: find::redis()?,
            tls: authority.certify(&place)?,
            server: Server::new("Redis", place, at_last),
            port: ports.0,
            tls_port: ports.1,
            arguments: ARGUMENTS.iter().chain(arguments).map(|&argument| argument.to_owned()).collect(),
        };
        redis.run()?;
        Ok(redis)
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port())
    }

    /// Its address with TLS.
    pub fn tls_url(&self) -> String {
        format!("rediss://localhost:{}", self.tls_port.number())
    }

    /// Where it listens without TLS; the same after a restart.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The authority of its certificate, as PEM.
    pub fn ca(&self) -> &Path {
        &self.tls.ca
    }

    /// The server's folder; `data` is Redis' own, `log` is what it wrote.
    pub fn folder(&self) -> &Path {
        self.server.place().path()
    }

    /// Runs a command with `redis-cli` and gives what it prints. Options may come first: `&["--user", "app", "PING"]`.
    ///
    /// # Panics
    /// When `redis-cli` fails or prints an error of the server.
    pub fn cli(&self, arguments: &[&str]) -> String {
        self.try_cli(arguments).unwrap_or_else(|error| panic!("{arguments:?}: {error:#}"))
    }

    /// The same for a command that may fail.
    pub fn try_cli(&self, arguments: &[&str]) -> Result<String> {
        let program = find::on_path("redis-cli").context("`redis-cli` was not found")?;
        // With `-e` an error of the server is one of the program.
        let mut cli = Command::new(program);
        cli.args(["-h", "127.0.0.1", "-p", &self.port().to_string(), "-e", "--no-auth-warning"]).args(arguments);
        Ok(children::output(&mut cli)?.trim_end().to_owned())
    }

    /// Ends it in order: everything is written.
    ///
    /// # Panics
    /// When it does not run, or does not end.
    pub fn stop(&self) {
        self.end("TERM");
    }

    /// Kills it with SIGKILL.
    ///
    /// # Panics
    /// When it does not run, or does not end.
    pub fn kill(&self) {
        self.end("crash");
    }

    /// Starts it again after one of the ends, on the same ports with the data that it wrote.
    ///
    /// # Panics
    /// When it runs, or does not start.
    pub fn start_again(&self) {
        self.run().unwrap_or_else(|error| panic!("Redis did not start again: {error:#}"));
    }

    /// Starts it again with all data lost.
    ///
    /// # Panics
    /// When it runs, or does not start.
    pub fn start_again_empty(&self) {
        let data = self.server.place().file("data");
        let emptied = std::fs::remove_dir_all(&data).and_then(|()| std::fs::create_dir(&data));
        emptied.unwrap_or_else(|error| panic!("{} could not be emptied: {error}", data.display()));
        self.start_again();
    }

    fn end(&self, order: &str) {
        self.server.end(order).unwrap_or_else(|error| panic!("Redis could not be ended: {error:#}"));
    }

    fn run(&self) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(["--port", &self.port().to_string(), "--tls-port", &self.tls_port.number().to_string()]);
        command.arg("--dir").arg(self.server.place().file("data"));
        command.arg("--tls-ca-cert-file").arg(&self.tls.ca);
        command.arg("--tls-cert-file").arg(&self.tls.certificate).arg("--tls-key-file").arg(&self.tls.key);
        command.args(&self.arguments);
        self.server.run(&command, || self.is_ready())
    }

    /// Whether it has loaded its data and answers, be it that it does not know us.
    fn is_ready(&self) -> bool {
        let ask = || {
            let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port()))?;
            connection.set_read_timeout(Some(PATIENCE))?;
            connection.write_all(b"PING\r\n")?;
            let mut answer = [0; 5];
            connection.read_exact(&mut answer)?;
            std::io::Result::Ok(answer)
        };
        ask().is_ok_and(|answer| matches!(&answer, b"+PONG" | b"-NOAU" | b"-NOPE"))
    }
}
