//! Running other programs to their end, and what to say when they fail.

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// Gives what it printed; fails with what it complained about.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    output_of_input(command, "")
}

/// The same for a program that reads its standard input.
pub(crate) fn output_of_input(command: &mut Command, input: &str) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("`{name}` could not be started"))?;
    // One that ends without reading says why on its standard error.
    let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().with_context(|| format!("`{name}` could not be waited for"))?;
    if !output.status.success() {
        bail!("`{name}` failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    written.with_context(|| format!("`{name}` did not read its input"))?;
    String::from_utf8(output.stdout).with_context(|| format!("`{name}` printed something that is not text"))
}
