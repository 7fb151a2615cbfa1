//! Bugs that are planted to see whether they are found. They sit in the models, where adapters of the real servers could
//! have them, but for two of the hub. Without the feature `sabotage` there are none.

/// A planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// Entries are acknowledged when they are handed out, and not after the commit.
    AckBeforeCommit,
    /// The inbox is written and never asked.
    NoInboxCheck,
    /// Positions come from a sequence, which does not go back with a transaction.
    PositionsFromSequence,
    /// A timer that a reschedule ended still fires, in the name of the one that replaced it.
    TimerWithoutGeneration,
    /// The outbox shows what is not committed yet.
    PublishBeforeCommit,
    /// The mark is moved first, and then the entries are written.
    MarkBeforePublish,
    /// Live clients read on by the facts' ids, which are made before the commit.
    CursorByInsertion,
    /// An entry that is delivered again gets a new command id.
    RetryWithNewKey,
    /// A transaction that failed is told as success.
    SwallowedError,
    /// The stored campaign is not what its log folds to.
    SkippedFold,
    /// The consumer group is made anew at the end of the stream.
    GroupAtEnd,
    /// How far the world was told is remembered, and not asked for.
    NoRewind,
    /// A consumer of an older term is served.
    StaleLease,
    /// What is due is decided by the clock of an instance.
    InstanceClock,
    /// A live client that is too slow is not told what it missed.
    SilentLag,
    /// A live client that has caught up listens only then.
    LateListening,
    /// Two decisions see the same version of a campaign, and the later one wins.
    LostUpdate,
    /// The cache takes whatever is put.
    CacheGoesBack,
    /// Timers are armed in a commit of their own.
    TimersApart,
    /// An unknown outcome is told as a failure: nothing was written.
    UnknownIsFailure,
    /// A due timer is not there while another transaction holds its campaign, and is forgotten.
    ForgottenTimer,
    /// A publication does not look whether it continues what was told.
    NoFence,
}

impl Sabotage {
    /// Every planted bug.
    pub const ALL: [Self; 22] = [
        Self::AckBeforeCommit,
        Self::NoInboxCheck,
        Self::PositionsFromSequence,
        Self::TimerWithoutGeneration,
        Self::PublishBeforeCommit,
        Self::MarkBeforePublish,
        Self::CursorByInsertion,
        Self::RetryWithNewKey,
        Self::SwallowedError,
        Self::SkippedFold,
        Self::GroupAtEnd,
        Self::NoRewind,
        Self::StaleLease,
        Self::InstanceClock,
        Self::SilentLag,
        Self::LateListening,
        Self::LostUpdate,
        Self::CacheGoesBack,
        Self::TimersApart,
        Self::UnknownIsFailure,
        Self::ForgottenTimer,
        Self::NoFence,
    ];
}
