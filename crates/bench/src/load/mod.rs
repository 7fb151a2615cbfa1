//! Load generators and listeners: this program again, as processes of their own, so that what they cost is not the service's
//! and no runtime is shared. Each says `ready` when it is, and one line of JSON at its end.

mod events;
mod http;
pub(crate) mod live;

use std::process::Stdio;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Subcommand;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

pub(crate) use events::{Heard, Sent};
pub(crate) use http::Answered;

/// What a generator does.
#[derive(Subcommand)]
pub(crate) enum Load {
    /// Sends `campaign.created` events.
    Produce(events::Produce),
    /// Hears lifecycle events.
    Listen(events::Listen),
    /// Asks for the same page again and again.
    Get(http::Get),
    /// Many WebSocket clients.
    Live(live::Arguments),
}

/// Runs a generator: this is the other process.
pub(crate) fn main(load: Load) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match load {
        Load::Produce(produce) => say(&runtime.block_on(produce.run())?),
        Load::Listen(listen) => say(&runtime.block_on(listen.run())?),
        Load::Get(get) => say(&runtime.block_on(get.run())?),
        Load::Live(arguments) => runtime.block_on(tokio::task::LocalSet::new().run_until(live::run(arguments))),
    }
}

fn say(what: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(what)?);
    Ok(())
}

/// Tells who started this that it may go on.
fn ready() {
    println!("ready");
}

/// A generator that runs; killed when dropped.
pub(crate) struct Generator {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Generator {
    /// Starts one, and waits until it is ready.
    pub(crate) async fn start(arguments: &[String]) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("load")
            .args(arguments)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("a load generator cannot be started")?;
        let stdout = child.stdout.take().context("it has no output")?;
        let mut generator = Self { child, lines: BufReader::new(stdout).lines() };
        match generator.lines.next_line().await? {
            Some(line) if line == "ready" => Ok(generator),
            other => bail!("a load generator ({arguments:?}) said {other:?}"),
        }
    }

    /// What it says at its end.
    pub(crate) async fn result<T: DeserializeOwned>(mut self) -> Result<T> {
        let line = self.lines.next_line().await?.context("a load generator ended without a word")?;
        let status = self.child.wait().await?;
        ensure!(status.success(), "a load generator ended with {status}");
        serde_json::from_str(&line).with_context(|| format!("a load generator said {line}"))
    }
}

/// Arguments from whatever can be shown.
macro_rules! arguments {
    ($($argument:expr),+ $(,)?) => { &[$($argument.to_string()),+] };
}
pub(crate) use arguments;
