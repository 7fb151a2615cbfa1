//! Everybody outside: callers, producers, live clients, readers of the streams. They choose by chance what they do, keep
//! what they were told, and tell the auditor.

pub(crate) mod caller;
mod choice;
mod following;
pub(crate) mod producer;
pub(crate) mod reader;
mod socket;
pub(crate) mod watcher;

/// The number in metadata of ours, `{"n":12,..}`.
pub(crate) fn number_in(metadata: &str) -> Option<u64> {
    metadata.strip_prefix(r#"{"n":"#)?.split([',', '}']).next()?.parse().ok()
}
