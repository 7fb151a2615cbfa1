//! Chance for scenarios: a small generator whose seed is printed when its test fails.

use std::hash::{BuildHasher as _, RandomState};

/// A generator of numbers (xorshift).
pub(crate) struct Chance(u64);

impl Chance {
    /// With a seed of its own.
    pub(crate) fn new() -> Self {
        let seed = RandomState::new().hash_one("chance");
        println!("seed {seed}");
        Self(seed | 1)
    }

    /// Another one, for another task.
    pub(crate) fn split(&mut self) -> Self {
        Self(self.below(u64::MAX) | 1)
    }

    /// Less than `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// At least `from` and less than `to` seconds.
    pub(crate) fn seconds(&mut self, from: u32, to: u32) -> f64 {
        let millis = self.below(u64::from(to - from) * 1000);
        f64::from(from) + f64::from(u32::try_from(millis).unwrap_or(0)) / 1000.0
    }

    /// One of `choices`.
    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        let count = u64::try_from(choices.len()).unwrap_or(1);
        &choices[usize::try_from(self.below(count)).unwrap_or(0)]
    }
}
