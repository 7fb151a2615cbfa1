//! What the load writes down, outside of the system under test: one JSON object a line.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// How a command travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Via {
    Http,
    Redis,
}

/// What the sender knows after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// HTTP: the service said that it is done. Redis: the entry is in the stream.
    Ok,
    /// The service said no.
    Rejected,
    /// Nobody knows: no answer, or one that says to come again.
    Unknown,
}

/// What follows the status of an answer that says to come again, and not when.
pub(crate) const NO_HINT: &str = " without Retry-After";

/// One attempt of a command.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// The idempotency key, or the event's id.
    pub(crate) key: String,
    pub(crate) via: Via,
    pub(crate) campaign: String,
    /// In milliseconds since 1970, as the others.
    pub(crate) sent: i64,
    pub(crate) answered: i64,
    pub(crate) outcome: Outcome,
    /// The status of the answer, or why there is none.
    pub(crate) said: String,
}

/// What a live client was told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) client: usize,
    pub(crate) channel: String,
    pub(crate) at: i64,
    /// The frame's own name: `subscribed`, `recovered`, or what happened.
    pub(crate) event: String,
    pub(crate) cursor: Option<String>,
    pub(crate) campaign: Option<String>,
    /// Only in `recovered`: whether nothing was missed.
    pub(crate) recovered: Option<bool>,
}

/// An outgoing event, as the independent reader saw it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) stream: String,
    pub(crate) id: String,
    pub(crate) event_id: String,
    pub(crate) event_type: String,
    pub(crate) timer: Option<String>,
    /// Read once more at the end, and not as it came.
    pub(crate) at_the_end: bool,
}

impl Seen {
    /// The entry's id as two numbers.
    pub(crate) fn place(&self) -> Option<(u64, u64)> {
        place(&self.id)
    }
}

/// `<position>-<k>` as two numbers.
pub(crate) fn place(id: &str) -> Option<(u64, u64)> {
    let (position, k) = id.split_once('-')?;
    Some((position.parse().ok()?, k.parse().ok()?))
}

/// A journal being written.
pub(crate) struct Journal(BufWriter<File>);

impl Journal {
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(Self(BufWriter::new(file)))
    }

    /// Adds a line, and hands it to the system: it survives the writer.
    pub(crate) fn write(&mut self, line: &impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut self.0, line)?;
        self.0.write_all(b"\n")?;
        Ok(self.0.flush()?)
    }
}

/// All lines of a journal; one that is being written is none yet.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}
