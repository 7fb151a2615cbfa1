//! What a proxy does with what passes through it.

use std::time::Duration;

/// How a link behaves. `Up` is from the client to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Everything goes through at once.
    Pass,
    /// Each piece takes this long, either way.
    Latency(Duration),
    /// So many bytes a second, either way.
    Bandwidth(u32),
    /// Open connections are cut off, and new ones are.
    Refuse,
    /// Nothing goes through, and nobody is told. What was sent arrives when the link is passable again, as TCP would send it
    /// again.
    Blackhole,
    /// The same for what goes up.
    BlackholeUp,
    /// The same for what comes down.
    BlackholeDown,
    /// Of so many of a hundred commits the answer is lost: the server commits, then the connection is cut off.
    LoseCommits(u8),
    /// The answer to a commit takes this long.
    HoldCommits(Duration),
    /// A connection is cut off when so many bytes went through it, either way.
    CutAfter(u64),
}

impl Mode {
    pub(super) fn swallows_up(self) -> bool {
        matches!(self, Self::Blackhole | Self::BlackholeUp)
    }

    pub(super) fn swallows_down(self) -> bool {
        matches!(self, Self::Blackhole | Self::BlackholeDown)
    }
}
