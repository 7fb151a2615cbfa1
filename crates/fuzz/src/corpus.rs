//! The inputs that every search begins with: small files, a folder a target. Past bugs are among them for ever.

use std::path::{Path, PathBuf};

/// An input of the corpus.
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// Where a target's corpus is.
pub fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

/// A target's corpus, in the order of its names.
///
/// # Panics
/// When it cannot be read.
pub(crate) fn read(target: &str) -> Vec<Sample> {
    let folder = folder(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut samples: Vec<Sample> = entries
        .map(|entry| {
            let path = entry.expect("a readable folder").path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            Sample { name, bytes: std::fs::read(path).expect("a readable file") }
        })
        .collect();
    samples.sort_by(|a, b| a.name.cmp(&b.name));
    samples
}
