//! A few seeds with every build. Thousands are run by `cargo xtask sim`.

use lifecycle_sim::{Plan, describe, run};

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 1..=10 {
        let plan = Plan::of(seed);
        let (first, second) = (run(&plan, false), run(&plan, true));
        assert_eq!((first.hash, first.events), (second.hash, second.events), "seed {seed}: {}", describe(&plan));
    }
}

#[test]
fn no_promise_is_broken_whatever_goes_wrong() {
    let mut committed = 0;
    for seed in 1_000..1_040 {
        let plan = Plan::of(seed);
        let outcome = run(&plan, false);
        assert_eq!(outcome.broken, None, "cargo xtask sim --seed {seed}; {}", describe(&plan));
        committed += outcome.committed;
    }
    assert!(committed > 40 * 200, "only {committed} commits: a quiet world proves nothing");
}
