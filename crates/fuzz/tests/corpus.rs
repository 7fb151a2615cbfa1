//! The whole corpus through every target, past bugs included, and a short search from a fixed seed: an ordinary test.

use std::time::Duration;

use lifecycle_fuzz::{Limits, TARGETS, replay, search};

#[test]
fn nothing_in_the_corpus_breaks_a_rule() {
    for target in TARGETS {
        let count = replay(target)
            .unwrap_or_else(|broken| panic!("{} of {}: {}", broken.file.unwrap_or_default(), target.name, broken.what));
        assert!(count >= 3, "{} has {count} inputs", target.name);
    }
}

#[test]
fn a_short_search_finds_behaviour_beyond_the_corpus_and_nothing_broken() {
    for target in TARGETS {
        let report = search(target, Limits { time: Duration::from_mins(1), runs: 300, seed: 1 });
        assert!(report.broken.is_none(), "{}: {:?}", target.name, report.broken);
        assert!(report.kinds >= report.kinds_of_corpus, "{}", target.name);
    }
}
