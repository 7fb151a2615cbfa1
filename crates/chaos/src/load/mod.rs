//! The load: this program again, as processes of their own, so that no fault of the rig is one of theirs. Each says
//! `ready` when it is, obeys lines on its standard input, and ends with it.

mod commands;
mod plan;
mod read;
mod resp;
mod watch;

pub(crate) use plan::{CAMPAIGNS, RATE, hot};
pub(crate) use watch::CLIENTS;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Subcommand;
use tokio::io::AsyncBufReadExt as _;

/// What a process of the load does.
#[derive(Subcommand)]
pub(crate) enum Load {
    /// Sends commands, by HTTP and by events.
    Commands(commands::Arguments),
    /// Live clients.
    Watch(watch::Arguments),
    /// Reads the outgoing streams.
    Read(read::Arguments),
}

/// Runs one: this is the other process.
pub(crate) fn main(load: Load) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match load {
            Load::Commands(arguments) => commands::run(arguments).await,
            Load::Watch(arguments) => watch::run(arguments).await,
            Load::Read(arguments) => read::run(arguments).await,
        }
    })
}

fn say(line: &str) {
    println!("{line}");
}

/// What the driver tells a process of the load to do.
struct Orders(tokio::io::Lines<tokio::io::BufReader<tokio::io::Stdin>>);

impl Orders {
    fn new() -> Self {
        Self(tokio::io::BufReader::new(tokio::io::stdin()).lines())
    }

    /// The next one; fails when the driver is gone.
    async fn next(&mut self) -> Result<String> {
        self.0.next_line().await?.context("the driver is gone")
    }
}

/// A process of the load, as the driver has it. Dropped, it is killed.
pub(crate) struct Generator {
    child: Child,
    orders: ChildStdin,
    words: BufReader<ChildStdout>,
}

impl Generator {
    /// Starts one, and waits until it is ready.
    pub(crate) fn start(arguments: &[String]) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("load")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the load cannot be started")?;
        let orders = child.stdin.take().context("it has no input")?;
        let words = BufReader::new(child.stdout.take().context("it has no output")?);
        let mut generator = Self { child, orders, words };
        match generator.hear()?.as_str() {
            "ready" => Ok(generator),
            other => bail!("the load ({arguments:?}) said {other:?}"),
        }
    }

    /// Tells it to do something, and waits until it has.
    pub(crate) fn tell(&mut self, order: &str) -> Result<String> {
        writeln!(self.orders, "{order}").context("the load does not listen")?;
        self.hear()
    }

    fn hear(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.words.read_line(&mut line)? > 0, "the load ended: {:?}", self.child.try_wait());
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
