//! As much of Redis' protocol as a producer and a reader need: each command is sent once, and what it came to is told
//! as it is. A driver that sends again by itself would hide what happens.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a command may take, what it waits for itself aside.
const PATIENCE: Duration = Duration::from_secs(3);

/// What Redis answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    Nothing,
    Error(String),
    Text(String),
    List(Vec<Reply>),
}

impl Reply {
    pub(super) fn text(&self) -> &str {
        if let Self::Text(text) = self { text } else { "" }
    }

    pub(super) fn items(&self) -> &[Self] {
        if let Self::List(items) = self { items } else { &[] }
    }
}

/// A connection that is made when it is needed, and given up at the first mistake.
pub(super) struct Redis {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

impl Redis {
    pub(super) fn at(address: SocketAddr) -> Self {
        Self { address, stream: None }
    }

    /// Sends a command that may wait for so long, and gives the answer. After a failure it may have been executed.
    pub(super) async fn call(&mut self, words: &[&str], waits: Duration) -> Result<Reply> {
        timeout(waits + PATIENCE, self.call_without_limit(words)).await?
    }

    /// The connection is kept only after a whole answer.
    async fn call_without_limit(&mut self, words: &[&str]) -> Result<Reply> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => BufReader::new(TcpStream::connect(self.address).await?),
        };
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            let _ = write!(command, "${}\r\n{word}\r\n", word.len());
        }
        stream.write_all(command.as_bytes()).await?;
        let reply = read(&mut stream).await?;
        self.stream = Some(stream);
        if let Reply::Error(error) = reply {
            bail!("Redis: {error}");
        }
        Ok(reply)
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Result<Reply> {
    let mut line = String::new();
    ensure!(stream.read_line(&mut line).await? > 0, "Redis hung up");
    let line = line.trim_end();
    let (kind, rest) = line.split_at_checked(1).context("an empty line")?;
    match kind {
        "+" | ":" => Ok(Reply::Text(rest.to_owned())),
        "-" => Ok(Reply::Error(rest.to_owned())),
        "$" => {
            let Ok(length) = usize::try_from(rest.parse::<i64>()?) else { return Ok(Reply::Nothing) };
            let mut bytes = vec![0; length + 2];
            stream.read_exact(&mut bytes).await?;
            bytes.truncate(length);
            Ok(Reply::Text(String::from_utf8(bytes)?))
        }
        "*" => {
            let Ok(length) = usize::try_from(rest.parse::<i64>()?) else { return Ok(Reply::Nothing) };
            let mut items = Vec::with_capacity(length);
            for _ in 0..length {
                items.push(Box::pin(read(stream)).await?);
            }
            Ok(Reply::List(items))
        }
        _ => bail!("Redis answered {line:?}"),
    }
}
