//! Rules for single files: headers, sizes, words that must not land.

use super::File;

const MAX_LINES: usize = 500;

/// Words that must not stand in Rust sources, and why. Written in two halves, or this file would find itself.
const REFUSED: &[(&str, &str)] = &[
    (concat!("#[ign", "ore"), "a test that does not run is no test"),
    (concat!("tod", "o!("), "unfinished"),
    (concat!("unimpl", "emented!("), "unfinished"),
];

/// Beginnings of paths that exist on one machine only.
const MACHINE_PATHS: &[&str] =
    &[concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/"), concat!("/wo", "rk/"), concat!("C:", "\\")];

/// Ends of paths of generated or foreign files, which nobody reads line by line.
const GENERATED: &[&str] = &["openapi.json", "asyncapi.json", "LICENSE"];

pub(super) fn check(file: &File) -> Vec<String> {
    let mut findings = Vec::new();
    let mut add = |line: usize, what: &str| findings.push(format!("{}:{line}: {what}", file.path));
    let is_rust = has_extension(file, "rs");
    if is_rust {
        let first = file.text.lines().find(|l| !l.trim().is_empty()).unwrap_or_default();
        if !first.starts_with("//!") {
            add(1, "a module begins with a `//!` header that says what lives here");
        }
        let lines = file.text.lines().count();
        if lines > MAX_LINES {
            add(lines, &format!("{lines} lines; a file of one idea has at most {MAX_LINES}"));
        }
    }
    if is_rust {
        for line in doc_tests(&file.text) {
            add(line, "tests in the documentation are not run here: mark the block as `text`, and test elsewhere");
        }
    }
    let foreign = GENERATED.iter().any(|end| file.path.ends_with(end));
    for (i, line) in file.text.lines().enumerate() {
        if is_rust && let Some((word, why)) = REFUSED.iter().find(|(word, _)| line.contains(word)) {
            add(i + 1, &format!("`{word}`: {why}"));
        }
        if !foreign && let Some(path) = MACHINE_PATHS.iter().find(|path| names_path(line, path)) {
            add(i + 1, &format!("`{path}` exists on one machine only"));
        }
        if file.path.ends_with("nextest.toml") && line.trim_start().starts_with("retries") {
            add(i + 1, "no retries: a test that passes at the second try is a bug");
        }
    }
    findings
}

/// The lines on which blocks of code begin that rustdoc would take for tests.
fn doc_tests(text: &str) -> Vec<usize> {
    let mut is_open = false;
    let mut found = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let line = line.trim_start();
        let doc = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
        let Some(kind) = doc.and_then(|doc| doc.trim().strip_prefix("```")) else { continue };
        is_open = !is_open;
        if is_open && kind != "text" {
            found.push(i + 1);
        }
    }
    found
}

fn has_extension(file: &File, extension: &str) -> bool {
    std::path::Path::new(&file.path).extension().is_some_and(|e| e == extension)
}

/// Whether `line` names an absolute path that begins with `path`; `x/home/` is a relative one.
fn names_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(i, _)| {
        let before = line[..i].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}' | '/' | '*'))
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::file;
    use super::*;

    #[test]
    fn a_rust_file_begins_with_a_header_and_is_short() {
        assert!(check(&file("a.rs", "//! What.\nfn f() {}\n")).is_empty());
        assert_eq!(check(&file("a.rs", "fn f() {}\n")).len(), 1);
        let long = format!("//! What.\n{}", "\n".repeat(MAX_LINES));
        assert_eq!(check(&file("a.rs", &long)).len(), 1);
        assert!(check(&file("a.md", &long)).is_empty());
    }

    #[test]
    fn unfinished_work_and_sleeping_tests_are_found() {
        for (word, _) in REFUSED {
            assert_eq!(check(&file("a.rs", &format!("//! What.\n{word}")))[0].split(':').nth(1), Some("2"));
        }
        assert_eq!(check(&file(".config/nextest.toml", "retries = 2")).len(), 1);
    }

    #[test]
    fn tests_in_the_documentation_are_found_and_pictures_are_not() {
        let picture = "//! What.\n//!\n//! ```text\n//! a -> b\n//! ```\n";
        assert!(check(&file("a.rs", picture)).is_empty());
        let test = format!("{picture}/// ```\n/// assert!(f());\n/// ```\nfn f() {{}}\n");
        let findings = check(&file("a.rs", &test));
        assert_eq!((findings.len(), findings[0].split(':').nth(1)), (1, Some("6")));
    }

    #[test]
    fn paths_of_one_machine_are_found_and_urls_are_not() {
        for path in MACHINE_PATHS {
            assert_eq!(check(&file("a.md", &format!("see `{path}me/x`"))).len(), 1, "{path}");
        }
        assert!(check(&file("a.md", &format!("https://example.org{}page", MACHINE_PATHS[0]))).is_empty());
    }
}
