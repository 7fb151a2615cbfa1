//! What is searched: each target takes any bytes, and knows the rules that hold whatever they are.

mod cursors;
mod events;
mod frames;
mod http;
mod ids;
mod sockets;
mod stored;
mod tokens;

/// Takes an input; answers what it met, in words that are the same for inputs alike, or which rule it broke.
pub type Check = Box<dyn FnMut(&[u8]) -> Result<String, String>>;

/// Something that reads what others wrote.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, which is its corpus' folder, too.
    pub name: &'static str,
    /// Makes its check, with all that it needs.
    pub build: fn() -> Check,
    /// Words that it knows.
    pub words: &'static [&'static str],
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "cursors", build: cursors::build, words: cursors::WORDS },
    Target { name: "events", build: events::build, words: events::WORDS },
    Target { name: "frames", build: frames::build, words: frames::WORDS },
    Target { name: "http", build: http::build, words: http::WORDS },
    Target { name: "ids", build: ids::build, words: ids::WORDS },
    Target { name: "sockets", build: sockets::build, words: sockets::WORDS },
    Target { name: "stored", build: stored::build, words: stored::WORDS },
    Target { name: "tokens", build: tokens::build, words: tokens::WORDS },
];

/// Fails with `what` unless `holds`.
fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}
