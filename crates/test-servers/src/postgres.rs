//! A PostgreSQL server in a folder of its own.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::find::{self, PostgresPrograms};
use crate::place::{Place, User};
use crate::ports::Port;
use crate::server::Server;
use crate::tls::Authority;
use crate::{children, psql};

/// The role that may do everything, and its password.
const ROLE: &str = "lifecycle";

const SETTINGS: &[(&str, &str)] = &[
    // Addresses that the machine lacks are left out by the server.
    ("listen_addresses", "127.0.0.1,::1"),
    ("unix_socket_directories", ""),
    ("max_connections", "300"),
    ("shared_buffers", "128MB"),
    ("logging_collector", "off"),
    ("lc_messages", "C"),
    ("log_line_prefix", "%m [%p] %d "),
    ("ssl", "on"),
    // Files in the server's folder, so that nothing is left of one that was killed.
    ("dynamic_shared_memory_type", "mmap"),
];

/// For a server that nobody expects to survive a crash.
const FORGETFUL: &[(&str, &str)] = &[
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("synchronous_commit", "off"),
    ("shared_buffers", "256MB"),
    // It may live in memory.
    ("max_wal_size", "256MB"),
];

/// A PostgreSQL server. Dropped, it is ended without ceremony, and its folder removed.
#[derive(Debug)]
pub struct Postgres {
    programs: PostgresPrograms,
    server: Server,
    port: Port,
    ca: PathBuf,
    settings: Vec<String>,
}

impl Postgres {
    /// Starts a server that keeps what it promises: everything that makes commits durable is on.
    ///
    /// # Panics
    /// When this machine has no PostgreSQL, or it does not start.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with settings of `postgresql.conf`, which win over ours.
    ///
    /// # Panics
    /// When this machine has no PostgreSQL, or it does not start.
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        let started = || {
            let place = Place::temporary(User::unprivileged()?)?;
            Self::launch(find::postgres()?, place, Port::any()?, &Authority::new()?, settings)
        };
        started().unwrap_or_else(|error| panic!("no PostgreSQL: {error:#}"))
    }

    /// A standby that streams from the server at `primary`, which may be a proxy before it. Reads only, until
    /// `SELECT pg_promote()`.
    pub fn standby_of(primary: SocketAddr) -> Result<Self> {
        let place = Place::temporary(User::unprivileged()?)?;
        let programs = find::postgres()?;
        copy_data(&programs, &place, primary)?;
        Self::launch(programs, place, Port::any()?, &Authority::new()?, &[])
    }

    /// A server whose data is lost with the machine's next crash, and which is fast for that.
    pub(crate) fn forgetful(authority: &Authority) -> Result<Self> {
        let place = Place::in_memory(User::unprivileged()?)?;
        Self::launch(find::postgres()?, place, Port::any()?, authority, FORGETFUL)
    }

    /// A server whose data stays in `folder`, in a part for each version.
    pub(crate) fn kept(authority: &Authority, folder: &Path, first_port: u16) -> Result<Self> {
        let programs = find::postgres()?;
        let place = Place::kept(&folder.join(format!("postgres-{}", programs.major)), User::unprivileged()?)?;
        Self::launch(programs, place, Port::from(first_port)?, authority, &[])
    }

    fn launch(
        programs: PostgresPrograms,
        place: Place,
        port: Port,
        authority: &Authority,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let temporary = !place.is_kept();
        make_data(&programs, &place)?;
        let tls = authority.certify(&place)?;
        let mut all: Vec<String> =
            SETTINGS.iter().chain(settings).map(|(name, value)| format!("{name}={value}")).collect();
        all.push(format!("ssl_cert_file={}", tls.certificate.display()));
        all.push(format!("ssl_key_file={}", tls.key.display()));
        // Kept data is put away in order.
        let server = Server::new("PostgreSQL", place, if temporary { "QUIT" } else { "INT" });
        let postgres = Self { programs, server, port, ca: tls.ca, settings: all };
        postgres.run()?;
        Ok(postgres)
    }

    /// The address of a database, without TLS.
    pub fn url(&self, database: &str) -> String {
        format!("{}/{database}", self.base_url())
    }

    pub(crate) fn base_url(&self) -> String {
        format!("postgres://{ROLE}:{ROLE}@127.0.0.1:{}", self.port())
    }

    /// Where it listens, with TLS and without; the same after a restart. With TLS its name is `localhost`.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The authority of its certificate, as PEM.
    pub fn ca(&self) -> &Path {
        &self.ca
    }

    /// The server's folder; `data` is PostgreSQL's own, `log` is what it wrote.
    pub fn folder(&self) -> &Path {
        self.server.place().path()
    }

    /// Runs SQL as the role that may do everything, and gives what `psql` prints: a line a row, values between `|`.
    ///
    /// # Panics
    /// When the SQL fails.
    pub fn psql(&self, database: &str, sql: &str) -> String {
        psql::run(&self.url(database), &[], sql).unwrap_or_else(|error| panic!("{error:#}\n{sql}"))
    }

    /// The same for SQL that may fail.
    pub fn try_psql(&self, database: &str, sql: &str) -> Result<String> {
        psql::run(&self.url(database), &[], sql)
    }

    /// Makes a database unless it is there.
    pub fn make_database(&self, name: &str) -> Result<()> {
        const SQL: &str = "\
            SELECT format('CREATE DATABASE %I', :'name')
            WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \\gexec
        ";
        psql::run(&self.url("postgres"), &[("name", name)], SQL)?;
        Ok(())
    }

    /// Ends it in order: sessions are broken off, everything is written.
    ///
    /// # Panics
    /// When it does not run, or does not end.
    pub fn stop_fast(&self) {
        self.end("INT");
    }

    /// Ends it at once, with a recovery at the next start.
    ///
    /// # Panics
    /// When it does not run, or does not end.
    pub fn stop_immediate(&self) {
        self.end("QUIT");
    }

    /// Kills all of its processes with SIGKILL.
    ///
    /// # Panics
    /// When it does not run, or does not end.
    pub fn kill(&self) {
        self.end("crash");
    }

    /// Starts it again after one of the ends, on the same port with the same data.
    ///
    /// # Panics
    /// When it runs, or does not start.
    pub fn start_again(&self) {
        self.run().unwrap_or_else(|error| panic!("PostgreSQL did not start again: {error:#}"));
    }

    fn end(&self, order: &str) {
        self.server.end(order).unwrap_or_else(|error| panic!("PostgreSQL could not be ended: {error:#}"));
    }

    fn run(&self) -> Result<()> {
        let mut command = Command::new(self.programs.folder.join("postgres"));
        command.arg("-D").arg(self.data()).args(["-p", &self.port().to_string()]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        self.server.run(&command, || self.is_ready())
    }

    /// Whether it takes connections. Its pid file says so in line 8; one that a killed server left behind says so, too,
    /// but then nobody listens.
    fn is_ready(&self) -> bool {
        let state = std::fs::read_to_string(self.pid_file()).unwrap_or_default();
        state.lines().nth(7).is_some_and(|line| line.trim() == "ready")
            && TcpStream::connect((Ipv4Addr::LOCALHOST, self.port())).is_ok()
    }

    fn data(&self) -> PathBuf {
        self.server.place().file("data")
    }

    fn pid_file(&self) -> PathBuf {
        self.data().join("postmaster.pid")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A killed one leaves a few bytes of the system's shared memory, which its next start would have taken over.
        if self.server.finish().is_ok()
            && let Ok(state) = std::fs::read_to_string(self.pid_file())
            && let Some(segment) = state.lines().nth(6).and_then(|line| line.split_whitespace().nth(1))
        {
            let _ = children::output(Command::new("ipcrm").args(["-m", segment]));
        }
    }
}

/// Makes the data folder unless it is there. Under another name first: one that is there is whole.
fn make_data(programs: &PostgresPrograms, place: &Place) -> Result<()> {
    let (data, unfinished) = (place.file("data"), place.file("data.unfinished"));
    if data.exists() {
        return Ok(());
    }
    if unfinished.exists() {
        std::fs::remove_dir_all(&unfinished).context("an unfinished data folder could not be removed")?;
    }
    let password = place.write("password", ROLE)?;
    let mut initdb = place.command(programs.folder.join("initdb"));
    initdb
        .args(["--username", ROLE, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"])
        .arg("--pwfile")
        .arg(password)
        .arg("--pgdata")
        .arg(&unfinished);
    children::output(&mut initdb).with_context(|| format!("no data folder in {}", place.path().display()))?;
    std::fs::rename(unfinished, data).context("the data folder could not get its name")
}

/// Copies the data folder of the server at `primary`; started on the copy, a server follows that one.
fn copy_data(programs: &PostgresPrograms, place: &Place, primary: SocketAddr) -> Result<()> {
    let mut copy = place.command(programs.folder.join("pg_basebackup"));
    copy.args(["--checkpoint", "fast", "--no-sync", "--write-recovery-conf", "--pgdata"]).arg(place.file("data"));
    copy.args(["--host", &primary.ip().to_string(), "--port", &primary.port().to_string(), "--username", ROLE]);
    // With `--write-recovery-conf` the password becomes part of the standby's settings.
    copy.env("PGPASSWORD", ROLE).env("PGSSLMODE", "disable");
    children::output(&mut copy).with_context(|| format!("no copy of the data in {}", place.path().display()))?;
    Ok(())
}
