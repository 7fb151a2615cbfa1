//! Somebody to tell of commits, for tests in which nobody listens.

use ports::wakeups::{Hint, Sleeper, Wakeups};

pub(crate) struct Nobody;

impl Wakeups for Nobody {
    fn announce(&self, _: Hint) {}

    fn subscribe(&self) -> Box<dyn Sleeper> {
        unreachable!("a store only announces")
    }
}
