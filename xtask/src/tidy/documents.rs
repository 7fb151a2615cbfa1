//! Documents name only files and tests that exist, and every decision record is in the index and has its parts.

use std::path::Path;

use super::File;

/// Where paths in backticks may begin; anything else in backticks is no path of ours.
const FOLDERS: &[&str] = &["crates/", "docs/", "xtask/", "migrations/", "deploy/", ".ci/", ".config/", ".cargo/"];

const DECISIONS: &str = "docs/adr/";
/// Controls and the tests that hold them.
const CONTROLS: &str = "docs/SECURITY.md";
const INDEX: &str = "docs/adr/README.md";
const PARTS: &[&str] = &["## Context", "## Decision", "## Consequences"];

/// Checks links and paths of a Markdown file.
pub(super) fn check(file: &File, root: &Path) -> Vec<String> {
    if Path::new(&file.path).extension().is_none_or(|e| e != "md") {
        return Vec::new();
    }
    let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
    let mut findings = Vec::new();
    let mut in_code = false;
    for (i, line) in file.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        let links = links(line).filter(|target| !root.join(folder).join(target).exists());
        let paths = paths(line).filter(|path| !root.join(path).exists());
        for missing in links.chain(paths) {
            findings.push(format!("{}:{}: names `{missing}`, which does not exist", file.path, i + 1));
        }
    }
    findings
}

/// The files that Markdown links of this line point to.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](").filter_map(|(i, _)| {
        let target = line[i + 2..].split([')', '#']).next()?;
        (!target.is_empty() && !target.contains("://") && !target.starts_with("mailto:")).then_some(target)
    })
}

/// The paths in backticks on this line.
fn paths(line: &str) -> impl Iterator<Item = &str> {
    let quoted = line.split('`').skip(1).step_by(2);
    quoted.filter(|text| {
        FOLDERS.iter().any(|folder| text.starts_with(folder)) && !text.contains(['*', '<', '{', ' ', '…'])
    })
}

/// Checks that decision records are numbered without a gap, have their parts, and stand in the index.
pub(super) fn check_decisions(files: &[File]) -> Vec<String> {
    let index = files.iter().find(|f| f.path == INDEX).map_or("", |f| f.text.as_str());
    let mut findings = Vec::new();
    let records = files.iter().filter(|f| f.path.starts_with(DECISIONS) && f.path != INDEX);
    for (i, record) in records.enumerate() {
        let name = &record.path[DECISIONS.len()..];
        let mut add = |what: String| findings.push(format!("{}:1: {what}", record.path));
        if !name.starts_with(&format!("{:04}-", i + 1)) {
            add(format!("records are numbered without a gap: {:04} must come here", i + 1));
        }
        if !index.contains(&format!("({name})")) {
            add(format!("is not in the index, {INDEX}"));
        }
        for part in PARTS.iter().filter(|part| !record.text.lines().any(|l| l == **part)) {
            add(format!("has no part \"{part}\""));
        }
    }
    findings
}

/// Checks that the tests which the document of controls names are there: names of at least five words.
pub(super) fn check_tests(files: &[File]) -> Vec<String> {
    let Some(document) = files.iter().find(|file| file.path == CONTROLS) else { return Vec::new() };
    let sources: Vec<&str> =
        files.iter().filter(|file| file.path.starts_with("crates/")).map(|file| file.text.as_str()).collect();
    let is_name = |text: &&str| {
        text.matches('_').count() >= 4
            && text.bytes().all(|b| b == b'_' || b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    let mut findings = Vec::new();
    for (i, line) in document.text.lines().enumerate() {
        for name in line.split('`').skip(1).step_by(2).filter(is_name) {
            let signature = format!("fn {name}(");
            if !sources.iter().any(|source| source.contains(&signature)) {
                findings.push(format!("{CONTROLS}:{}: names the test `{name}`, which does not exist", i + 1));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::tests::file;
    use super::*;

    #[test]
    fn links_and_paths_of_files_that_do_not_exist_are_found() {
        let root = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(root.path().join("docs")).expect("a folder");
        std::fs::write(root.path().join("docs/here.md"), "").expect("a file");
        let found = |text: &str| check(&file("docs/a.md", text), root.path()).len();
        assert_eq!(found("[a](here.md) [b](here.md#part) [c](https://example.org/x) [d](#part) `docs/here.md`"), 0);
        assert_eq!(found("[a](../docs/here.md) `cargo run` `docs/adr/NNNN-<name>.md` `GET /docs`"), 0);
        assert_eq!(found("[a](gone.md)"), 1);
        assert_eq!(found("see `docs/gone.md`"), 1);
        assert_eq!(found("```\n[a](gone.md)\n```"), 0);
    }

    #[test]
    fn tests_that_do_not_exist_are_found() {
        let source = file("crates/a/tests/b.rs", "fn a_test_that_is_really_there() {}");
        let control = |text: &str| file(CONTROLS, text);
        assert!(check_tests(&[source, control("`a_test_that_is_really_there`, `a.setting`")]).is_empty());
        assert_eq!(check_tests(&[control("`a_test_that_is_not_there`")]).len(), 1);
    }

    #[test]
    fn records_are_numbered_complete_and_indexed() {
        let whole = "# 1\n## Context\n## Decision\n## Consequences\n";
        let index = file(INDEX, "[one](0001-one.md)");
        assert!(check_decisions(&[file("docs/adr/0001-one.md", whole), index]).is_empty());
        let index = file(INDEX, "");
        assert_eq!(check_decisions(&[file("docs/adr/0001-one.md", whole), index]).len(), 1);
        assert_eq!(check_decisions(&[file("docs/adr/0002-two.md", "# 2\n## Context\n## Decision")]).len(), 3);
    }
}
