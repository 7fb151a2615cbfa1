//! A running server and the shell that stands between it and us (`guard.sh`): it ends the server when this process is
//! gone, also after SIGKILL, when nothing of ours runs any more.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};

use anyhow::{Context as _, Result, bail};

use crate::PATIENCE;
use crate::place::Place;

const SCRIPT: &str = include_str!("guard.sh");

/// A server that was started. Dropped without [`Guard::dismiss`] it does what it does when this process is gone.
#[derive(Debug)]
pub(crate) struct Guard {
    shell: Child,
    orders: Option<ChildStdin>,
    /// Closed when no process of the server is left.
    gone: Receiver<()>,
}

impl Guard {
    /// Starts `server` in its place; `at_last` is the signal that ends it when this process is gone.
    pub(crate) fn start(place: &Place, server: &Command, at_last: &str) -> Result<Self> {
        let folder = if place.is_kept() { "".as_ref() } else { place.path().as_os_str() };
        let mut shell = place
            .command("sh")
            .args(["-c", SCRIPT, "guard", at_last])
            .arg(folder)
            .arg(server.get_program())
            .args(server.get_args())
            // Ctrl-C is for the one who started us. We stop the server when it is time.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(place.log()?)
            .spawn()
            .context("`sh` could not be started")?;
        let orders = shell.stdin.take();
        let mut held = shell.stdout.take().context("a pipe that was asked for")?;
        let (sender, gone) = mpsc::channel::<()>();
        std::thread::spawn(move || {
            // Nobody writes; it only ends.
            let _ = std::io::copy(&mut held, &mut std::io::sink());
            drop(sender);
        });
        Ok(Self { shell, orders, gone })
    }

    /// Whether no process of the server is left.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.gone.try_recv(), Err(mpsc::TryRecvError::Disconnected))
    }

    /// Ends the server by a signal (`INT`), or all its processes at once (`crash`), and waits until none is left.
    pub(crate) fn end(&mut self, order: &str) -> Result<()> {
        self.order(order)?;
        match self.gone.recv_timeout(PATIENCE) {
            Err(mpsc::RecvTimeoutError::Disconnected) => Ok(()),
            _ => bail!("the server did not end within {PATIENCE:?}"),
        }
    }

    /// Lets the guard of a server go that is gone. The folder stays.
    pub(crate) fn dismiss(mut self) -> Result<()> {
        self.order("leave")
    }

    fn order(&mut self, order: &str) -> Result<()> {
        let orders = self.orders.as_mut().context("the guard was dismissed")?;
        writeln!(orders, "{order}").with_context(|| format!("the order `{order}` did not reach the guard"))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.shell.wait();
    }
}
