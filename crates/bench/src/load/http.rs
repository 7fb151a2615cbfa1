//! Many GETs over kept connections. Requests are the same bytes each time, and of answers only status and length are read:
//! a client that does more would take the machine from the service.

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant};

use crate::latency::{Latencies, Percentiles};

/// Asks for pages of the service.
#[derive(Args)]
pub(crate) struct Get {
    /// Host and port.
    #[arg(long)]
    address: String,
    /// What to ask for; `{n}` becomes a number below `--paths`.
    #[arg(long)]
    path: String,
    #[arg(long, default_value_t = 1)]
    paths: usize,
    #[arg(long)]
    token: String,
    #[arg(long)]
    connections: usize,
    #[arg(long)]
    seconds: u64,
    /// Requests a second, all connections together; 0: each connection asks as soon as it was answered.
    #[arg(long)]
    rate: usize,
}

/// How it was answered.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answered {
    pub(crate) latency: Percentiles,
    pub(crate) per_second: f64,
}

impl Get {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    pub(super) async fn run(&self) -> Result<Answered> {
        super::ready();
        let begun = Instant::now();
        let end = begun + Duration::from_secs(self.seconds);
        let mut connections = JoinSet::new();
        for number in 0..self.connections {
            let connection = Connection {
                stream: TcpStream::connect(&self.address).await?,
                requests: (0..self.paths).skip(number).step_by(self.connections).map(|n| self.request(n)).collect(),
                buffer: vec![0; 131_072],
            };
            connection.stream.set_nodelay(true)?;
            let every =
                Duration::from_secs_f64(if self.rate == 0 { 0.0 } else { self.connections as f64 / self.rate as f64 });
            let offset = every.mul_f64(number as f64 / self.connections as f64);
            connections.spawn(connection.ask(begun + offset, every, end));
        }
        let mut all = Latencies::new()?;
        while let Some(latencies) = connections.join_next().await {
            all.merge(&latencies??)?;
        }
        let seconds = begun.elapsed().as_secs_f64();
        Ok(Answered { per_second: all.len() as f64 / seconds, latency: all.percentiles() })
    }

    fn request(&self, number: usize) -> Vec<u8> {
        let path = self.path.replace("{n}", &format!("{number:07}"));
        format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\naccept: application/json\r\n\r\n",
            self.address, self.token
        )
        .into_bytes()
    }
}

struct Connection {
    stream: TcpStream,
    requests: Vec<Vec<u8>>,
    buffer: Vec<u8>,
}

impl Connection {
    /// Asks until `end`. With a pace, an answer's latency counts from when its question was due.
    async fn ask(mut self, begin: Instant, every: Duration, end: Instant) -> Result<Latencies> {
        let mut latencies = Latencies::new()?;
        let requests = std::mem::take(&mut self.requests);
        let mut due = begin;
        for request in requests.iter().cycle() {
            if every.is_zero() {
                due = Instant::now();
            } else {
                tokio::time::sleep_until(due).await;
            }
            if due >= end {
                return Ok(latencies);
            }
            self.stream.write_all(request).await?;
            self.answer().await?;
            latencies.add(i64::try_from(due.elapsed().as_micros())?)?;
            due += every;
        }
        Ok(latencies)
    }

    /// Reads one answer, which must be a 200 with a length.
    async fn answer(&mut self) -> Result<()> {
        let mut have = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[have..]).await?;
            ensure!(read > 0, "the connection was closed");
            have += read;
            let text = &self.buffer[..have];
            let Some(head) = text.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let lines = std::str::from_utf8(&text[..head])?;
            ensure!(lines.starts_with("HTTP/1.1 200"), "answered: {lines}");
            let length = lines.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
            });
            let whole = head + 4 + length.context("an answer without a length")??;
            ensure!(whole <= self.buffer.len(), "an answer of {whole} bytes");
            if have >= whole {
                return Ok(());
            }
        }
    }
}
