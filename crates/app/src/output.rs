//! Printing to people and to programs: a closed pipe is no panic, colours only where somebody sees them.

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

/// Prints `text` to the standard output as it is.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Prints a line to the standard output.
pub(crate) fn line(text: &str) -> io::Result<()> {
    print(&format!("{text}\n"))
}

/// Prints `value` as indented JSON.
pub(crate) fn json(value: &impl Serialize) -> io::Result<()> {
    line(&serde_json::to_string_pretty(value)?)
}

/// Prints a line to the standard error stream, where notes for people go; nobody there to read it is fine.
pub(crate) fn note(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Shows `text` in the present line of the standard error stream instead of what stood there.
pub(crate) fn note_in_place(text: &str) {
    let mut notes = anstream::stderr().lock();
    let _ = write!(notes, "\r\x1b[K{text}").and_then(|()| notes.flush());
}

/// Whether a person watches the standard output.
pub(crate) fn is_watched() -> bool {
    io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether a person watches the standard error stream.
pub(crate) fn notes_are_watched() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether a person watches the standard error stream and wants colours there (`NO_COLOR`).
pub(crate) fn colours_notes() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}

/// ANSI styles; stripped by [`print`] and [`note`] where nobody sees them.
pub(crate) mod style {
    pub(crate) const RESET: &str = "\x1b[0m";
    pub(crate) const BOLD: &str = "\x1b[1m";
    pub(crate) const DIM: &str = "\x1b[2m";
    pub(crate) const RED: &str = "\x1b[31m";
    pub(crate) const GREEN: &str = "\x1b[32m";
    pub(crate) const YELLOW: &str = "\x1b[33m";
    pub(crate) const BLUE: &str = "\x1b[34m";
    pub(crate) const MAGENTA: &str = "\x1b[35m";
}
