//! The points at which the crash suite ends the service, or a task of it. What must be there after each stands in
//! docs/CRASH-POINTS.md; the suite that proves it lives in `crates/app/tests/crash_points`.
//!
//! A point is one call, [`pass`]. Without the feature `armed` it compiles to nothing, and no release has that feature. With
//! it, a point costs one atomic load, unless the environment variable [`VARIABLE`] names a file. Then the file says what is
//! to happen, and is read at every point: `store.log_written abort`, or `relay.round panic`. Whoever acts on it takes it
//! away first, so that it happens once, to whoever comes first, and not again after a restart; `relay.round panic always`
//! stays.

#[cfg(feature = "armed")]
mod armed;

/// The environment variable that names the file with what is to happen.
pub const VARIABLE: &str = "LIFECYCLE_FAILPOINTS";

/// Whether points can do anything in this build.
pub const ARMED: bool = cfg!(feature = "armed");

macro_rules! points {
    ($($(#[$doc:meta])* $point:ident = $name:literal,)+) => {
        /// Every point there is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Point {
            $($(#[$doc])* $point,)+
        }

        impl Point {
            /// All of them, in the order of a command's way.
            pub const ALL: &[Self] = &[$(Self::$point,)+];

            /// What it is called where it is armed.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)+
                }
            }
        }
    };
}

points! {
    /// A batch of commands was taken from the queue; nothing was begun for it.
    CommandTaken = "command.taken",
    /// The transaction for a scope of campaigns was begun, and nothing was written yet.
    StoreBegun = "store.begun",
    /// Answers were written to the inbox, within the transaction.
    StoreInboxWritten = "store.inbox_written",
    /// Facts were written to the log, within the transaction. Not on PostgreSQL, where COMMIT goes with them.
    StoreLogWritten = "store.log_written",
    /// Everything is written (on PostgreSQL but for the log), and COMMIT comes next.
    StoreBeforeCommit = "store.before_commit",
    /// The commit succeeded, and nobody was told yet.
    StoreCommitted = "store.committed",
    /// The commit is known to the command worker, and nobody was answered yet.
    CommandCommitted = "command.committed",
    /// The timer loop is about to look for due timers.
    TimersRound = "timers.round",
    /// Due timers were fired.
    TimersFired = "timers.fired",
    /// The relay is about to ask how far the world was told.
    RelayRound = "relay.round",
    /// Records were read from the outbox, and the world was not told.
    RelayBeforePublish = "relay.before_publish",
    /// A publication takes several steps, and one of them is done.
    PublisherPartTold = "publisher.part_told",
    /// The world was told.
    RelayPublished = "relay.published",
    /// The consumer's next round begins.
    ConsumerRound = "consumer.round",
    /// Entries were handed out to the consumer, and nothing was done with them.
    ConsumerTaken = "consumer.taken",
    /// What cannot be processed is in the dead-letter queue, and its entries are pending.
    ConsumerLettersKept = "consumer.letters_kept",
    /// The entries were dealt with, and are pending.
    ConsumerBeforeAcknowledge = "consumer.before_acknowledge",
    /// The entries were acknowledged.
    ConsumerAcknowledged = "consumer.acknowledged",
    /// The pump of the live clients got records, and handed over none of them.
    LiveRound = "live.round",
    /// The feed of this instance's live clients got a new mark.
    FeedRound = "feed.round",
    /// The next look of housekeeping begins.
    HousekeepingRound = "housekeeping.round",
    /// The next look for upkeep that is due begins.
    MaintenanceRound = "maintenance.round",
    /// This instance is about to say that it is there.
    PresenceRound = "presence.round",
    /// The mark in Redis is about to be looked at.
    MarksRound = "marks.round",
    /// Another process called something out.
    EarsRound = "ears.round",
}

/// Passes `point`; does not come back, or panics, when it is armed.
#[cfg_attr(not(feature = "armed"), inline)]
pub fn pass(point: Point) {
    #[cfg(feature = "armed")]
    armed::pass(point);
    #[cfg(not(feature = "armed"))]
    let _ = point;
}
