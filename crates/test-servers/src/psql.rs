//! SQL through PostgreSQL's own client, as a child process: no driver, no runtime.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::{children, find};

/// Runs SQL and gives what it prints. In it `:'name'` and `:"name"` stand for a variable's value as text and as a name.
pub(crate) fn run(url: &str, variables: &[(&str, &str)], sql: &str) -> Result<String> {
    Ok(children::output_of_input(&mut command(url, variables)?, sql)?.trim_end().to_owned())
}

fn command(url: &str, variables: &[(&str, &str)]) -> Result<Command> {
    let mut psql = Command::new(find::psql()?);
    // Nothing of the user's own settings, neither headers nor padding, and the first error is the last statement.
    psql.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set", "ON_ERROR_STOP=1"]);
    psql.args(["--file", "-", "--dbname", url]);
    for (name, value) in variables {
        psql.arg("--set").arg(format!("{name}={value}"));
    }
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            psql.env_remove(name);
        }
    }
    psql.env("PGCONNECT_TIMEOUT", "30").env("PGSSLMODE", "disable").env("PGCLIENTENCODING", "UTF8");
    // "does not exist, skipping" is no news.
    psql.env("PGOPTIONS", "-c client_min_messages=warning");
    Ok(psql)
}

/// A session that holds what sessions hold, such as a lock, until it is dropped.
#[derive(Debug)]
pub(crate) struct Session {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Session {
    pub(crate) fn open(url: &str) -> Result<Self> {
        let mut child = command(url, &[])?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("`psql` could not be started")?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("a pipe that was asked for")?);
        Ok(Self { child, input, output })
    }

    /// Runs SQL that gives one value of one line.
    pub(crate) fn value(&mut self, sql: &str) -> Result<String> {
        let input = self.input.as_mut().context("the session is closed")?;
        writeln!(input, "{sql};").context("`psql` has ended")?;
        let mut line = String::new();
        if self.output.read_line(&mut line).context("`psql` cannot be read")? == 0 {
            bail!("`psql` ended at: {sql}");
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}
