//! The real binary as a child process.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A running `lifecycle serve`, killed when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) url: String,
    /// From its start to its first 200 on `/readyz`.
    pub(crate) ready_after: Duration,
}

/// The key that tokens are signed with.
const SECRET: &str = "a-secret-for-measurements-only-0123456789";

impl Process {
    pub(crate) async fn start(binary: &Path, store: &Path) -> Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let url = format!("http://127.0.0.1:{port}");
        let begun = Instant::now();
        let child = environment(&mut Command::new(binary), store)
            .arg("serve")
            .env("LIFECYCLE_HTTP__LISTEN", format!("127.0.0.1:{port}"))
            .env("LIFECYCLE_LIMITS__TOKEN_PER_SECOND", "1000000")
            .env("LIFECYCLE_LIMITS__TOKEN_BURST", "1000000")
            .env("LIFECYCLE_LOG__LEVEL", "warn")
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("{} cannot be started", binary.display()))?;
        let mut process = Self { child, url, ready_after: Duration::ZERO };
        let client = reqwest::Client::new();
        loop {
            if let Ok(response) = client.get(format!("{}/readyz", process.url)).send().await
                && response.status().is_success()
            {
                process.ready_after = begun.elapsed();
                return Ok(process);
            }
            if let Some(status) = process.child.try_wait()? {
                bail!("the service ended with {status}");
            }
            if begun.elapsed() > Duration::from_mins(1) {
                bail!("the service did not become ready");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Resident memory in MiB.
    pub(crate) fn memory(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).context("no VmRSS in /proc")?;
        let kib: f64 = line.split_whitespace().nth(1).context("no value")?.parse()?;
        Ok(kib / 1024.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A token of an admin.
pub(crate) fn token(binary: &Path, store: &Path) -> Result<String> {
    let output = environment(&mut Command::new(binary), store)
        .args(["token", "--sub", "bench", "--role", "admin", "--ttl", "1h"])
        .output()?;
    if !output.status.success() {
        bail!("no token: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn environment<'a>(command: &'a mut Command, store: &Path) -> &'a mut Command {
    command.env("LIFECYCLE_EMBEDDED__PATH", store).env("LIFECYCLE_AUTH__HS256_SECRET", SECRET)
}
