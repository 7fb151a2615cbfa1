//! The executable meaning of every port: one suite per port, each case names the rules (`S1`, `F2`, ...) that it proves.
//!
//! An adapter's tests implement a suite's harness and call its macro, which makes one test per case:
//!
//! ```text
//! mod store {
//!     port_contracts::store_contract!(Fresh::open().await);
//! }
//! ```
//!
//! Lives here: the suites and what they need to make campaigns. Does not live here: any adapter, any driver.
#![expect(clippy::missing_panics_doc, reason = "a case panics when a rule does not hold: that is what it is for")]
#![expect(clippy::unused_async, reason = "all cases are called alike, also those that have nothing to wait for")]

pub mod auth;
pub mod cache;
pub mod clock;
pub mod dead_letters;
pub mod feed;
pub mod fixtures;
pub mod inbound;
pub mod instances;
pub mod leases;
pub mod limits;
pub mod orders;
pub mod outbox;
pub mod queries;
pub mod query_lists;
pub mod store;
pub mod store_rules;
pub mod store_timers;
pub mod verification;
pub mod wakeups;

/// Makes a test of every case of the named suites; `$make` gives a fresh harness. The caller needs `tokio` with `macros`
/// and `rt-multi-thread`. Used by the `*_contract!` macros, which know the cases.
#[macro_export]
macro_rules! contract_tests {
    ($make:expr; $($suite:ident { $($case:ident,)+ })+) => {$($(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let mut harness = $make;
            $crate::$suite::$case(&mut harness).await;
        }
    )+)+};
}

#[cfg(test)]
mod tests {
    //! No rule without a case, no case that nobody calls.

    use std::path::Path;

    fn sources(folder: &Path) -> Vec<(String, String)> {
        let files = std::fs::read_dir(folder).expect("the sources are there");
        files
            .map(|file| file.expect("a readable folder").path())
            .map(|path| (path.display().to_string(), std::fs::read_to_string(path).expect("a readable file")))
            .collect()
    }

    #[test]
    fn every_rule_of_every_port_has_a_case() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let cases: String = sources(&here.join("src")).into_iter().map(|(_, text)| text).collect();
        let mut rules = 0;
        for (file, text) in sources(&here.join("../ports/src")) {
            for line in text.lines().filter_map(|line| line.strip_prefix("//! * **")) {
                let rule = line.split("**").next().expect("a rule has a name");
                assert!(cases.contains(&format!("/// {rule}: ")), "no case names {rule} of {file}");
                rules += 1;
            }
        }
        assert!(rules > 40, "only {rules} rules were found");
    }

    #[test]
    fn every_case_is_in_the_macro_of_its_suite() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let all: String = sources(&here).into_iter().map(|(_, text)| text).collect();
        for (file, text) in sources(&here) {
            let is_fixture = ["fixtures.rs", "orders.rs", "lib.rs"].iter().any(|name| file.ends_with(name));
            for line in text.lines().filter(|_| !is_fixture) {
                let Some(case) = line.strip_prefix("pub async fn ").and_then(|l| l.split(['(', '<']).next()) else {
                    continue;
                };
                assert!(all.contains(&format!("                {case},\n")), "{file}: nobody calls {case}");
            }
        }
    }
}
