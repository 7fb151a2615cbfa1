//! Hints between the parts of one instance, and between instances: somebody who sleeps has something to do.
//!
//! Rules:
//! * **W1** A hint announced after a subscription began wakes it, unless it is already awake with the same kind of hint
//!   still to be taken: hints of one kind may merge, and the earliest timer wins.
//! * **W2** Hints are never needed for correctness: a sleeper looks by itself now and then.

use async_trait::async_trait;
use domain::Timestamp;

/// Something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// A timer was armed that comes due at this instant.
    TimerArmed(Timestamp),
    /// New facts wait to be published.
    Committed,
    /// New inbound entries wait.
    Appended,
}

/// Tells sleepers.
#[cfg_attr(feature = "mocks", mockall::automock)]
pub trait Wakeups: Send + Sync + 'static {
    /// Tells everybody. Never blocks, never fails.
    fn announce(&self, hint: Hint);

    /// A place to sleep.
    fn subscribe(&self) -> Box<dyn Sleeper>;
}

/// A place to sleep.
#[async_trait]
pub trait Sleeper: Send + 'static {
    /// Waits for a timer armed earlier than this sleeper was told of, or taken, before; gives the earliest.
    async fn timer_armed(&mut self) -> Timestamp;

    /// Waits for new facts.
    async fn committed(&mut self);

    /// Waits for new inbound entries.
    async fn appended(&mut self);
}
