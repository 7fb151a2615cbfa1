//! Bugs that the simulator plants in the hub, one at a time, to see whether it finds them. Each sits in one line where the
//! hub asks for it; without the feature `sabotage` the answer is a constant, and nothing of it is built.

/// A bug of the hub that can be planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// A connection that is told that not all fitted does not read what it missed.
    CutUnheard,
    /// Whoever has caught up listens only then, and not before it read.
    LateListening,
}
