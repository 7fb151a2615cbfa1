//! Looking at an instance from outside: a GET, and the word of `/readyz`. Neither waits for long.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a look may take.
const PATIENCE: Duration = Duration::from_millis(700);

/// Status and body of the page at `path`.
pub(crate) async fn get(address: SocketAddr, path: &str, token: &str) -> Result<(u16, String)> {
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no end of the head")?;
        let status = head.split_whitespace().nth(1).context("no status")?.parse()?;
        Ok((status, body.to_owned()))
    };
    timeout(PATIENCE, asked).await?
}

/// Whether it says that it is ready.
pub(crate) async fn is_ready(address: SocketAddr) -> bool {
    get(address, "/readyz", "").await.is_ok_and(|(status, _)| status == 200)
}
