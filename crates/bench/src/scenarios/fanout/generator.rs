//! The clients, in a process of their own.

use std::process::Stdio;

use anyhow::{Context as _, Result};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::Audience;

/// Killed when dropped.
pub(super) struct Generator {
    _child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

/// What it takes beyond the events themselves, in seconds.
const PATIENCE: usize = 90;

impl Generator {
    /// Starts it; it connects its clients at once. Without channels it speaks with the peer.
    pub(super) fn start(url: &str, token: Option<&str>, audience: Audience, channels: &[String]) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["load", "live", "--url", url]);
        for (name, value) in [
            ("--clients", audience.clients),
            ("--expected", audience.heard_by_each()),
            ("--seconds", audience.events / audience.rate + PATIENCE),
        ] {
            command.args([name, &value.to_string()]);
        }
        command.args(token.iter().flat_map(|token| ["--token", *token]));
        command.args(channels.iter().flat_map(|channel| ["--channel", channel.as_str()]));
        if channels.is_empty() {
            command.arg("--peer");
        }
        Self::of(command)
    }

    /// Any program that prints lines of JSON.
    pub(super) fn of(mut command: Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let out = child.stdout.take().context("it has no output")?;
        Ok(Self { _child: child, lines: BufReader::new(out).lines() })
    }

    /// The next line that it prints.
    pub(super) async fn line<T: DeserializeOwned>(&mut self) -> Result<T> {
        let line = self.lines.next_line().await?.context("it ended early; what it complained of is above")?;
        serde_json::from_str(&line).with_context(|| line)
    }
}
