//! `tidy`: the rules of the house that compilers do not know. Each rule is a function from what it looks at to the
//! findings; this file only collects them.

mod documents;
mod layers;
mod sources;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::{built, sh};

/// A file of the project that people write.
struct File {
    /// Its path from the root, with `/`.
    path: String,
    text: String,
}

pub(crate) fn run() -> Result<()> {
    let root = sh::root();
    let files = files(&root)?;
    let mut findings = layers::check(&built::metadata()?)?;
    for file in &files {
        findings.extend(sources::check(file));
        findings.extend(documents::check(file, &root));
    }
    findings.extend(documents::check_decisions(&files));
    findings.extend(documents::check_tests(&files));
    if findings.is_empty() {
        eprintln!("tidy: {} files, nothing to say", files.len());
        return Ok(());
    }
    for finding in &findings {
        eprintln!("{finding}");
    }
    bail!("tidy: {} findings", findings.len());
}

/// Every text file of the project, by path; what git ignores and what is generated is left out.
fn files(root: &Path) -> Result<Vec<File>> {
    const SKIPPED: &[&str] = &[".git", "target", "data", "Cargo.lock"];
    /// What npm installs, beside any `package.json`.
    const MODULES: &str = "node_modules";
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))? {
            let entry = entry?;
            let skipped = folder == root && SKIPPED.iter().any(|name| entry.file_name() == *name);
            if skipped || entry.file_name() == MODULES {
                continue;
            }
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if let Ok(text) = std::fs::read_to_string(entry.path()) {
                let path = entry.path().strip_prefix(root)?.to_string_lossy().replace('\\', "/");
                found.push(File { path, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::File;

    pub(crate) fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }
}
