//! Makes an input that breaks a rule as small as it gets, as long as it breaks the same one.

use std::time::{Duration, Instant};

use crate::Check;
use crate::guard::judge;

/// For how long it tries.
const PATIENCE: Duration = Duration::from_secs(20);

/// Cuts parts out of `input`, large ones first, and makes what is left plain.
pub(crate) fn shrink(check: &mut Check, mut input: Vec<u8>, what: &str) -> Vec<u8> {
    let began = Instant::now();
    let rule = rule_of(what);
    let mut still = |candidate: &[u8]| {
        began.elapsed() < PATIENCE && judge(check, candidate).is_err_and(|other| rule_of(&other) == rule)
    };
    let mut part = input.len().div_ceil(2);
    while part > 0 {
        let mut at = 0;
        while at < input.len() {
            let mut candidate = input.clone();
            candidate.drain(at..(at + part).min(input.len()));
            if still(&candidate) { input = candidate } else { at += part }
        }
        part /= 2;
    }
    for at in 0..input.len() {
        let mut candidate = input.clone();
        candidate[at] = b'a';
        if input[at] != b'a' && still(&candidate) {
            input = candidate;
        }
    }
    input
}

/// What two failures of the same kind have in common.
fn rule_of(what: &str) -> String {
    what.chars().filter(|c| c.is_ascii_alphabetic() || *c == ' ').take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_what_matters() {
        let mut check: Check = Box::new(|input| {
            let bad = input.windows(2).any(|pair| pair == b"!?");
            if bad { Err("has it".to_owned()) } else { Ok(String::new()) }
        });
        let input = b"a long text with !? somewhere in it".to_vec();
        assert_eq!(shrink(&mut check, input, "has it"), b"!?");
    }
}
