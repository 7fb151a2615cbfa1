//! What happened, as a hash, and as lines where somebody wants to read them. The hash is the same either way.

/// The trace of one run.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    lines: Option<Vec<String>>,
    pub(crate) events: u64,
}

impl Trace {
    /// With lines to read, or without.
    pub(crate) fn new(with_lines: bool) -> Self {
        Self { hash: 0xCBF2_9CE4_8422_2325, lines: with_lines.then(Vec::new), events: 0 }
    }

    /// Something happened at `at`; `numbers` tell it apart from the like, `line` tells people what it was.
    pub(crate) fn event(&mut self, at: i64, tag: &'static str, numbers: [u64; 2], line: impl FnOnce() -> String) {
        self.events += 1;
        self.mix(at.unsigned_abs());
        for chunk in tag.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
        for number in numbers {
            self.mix(number);
        }
        if let Some(lines) = &mut self.lines {
            let (seconds, millis) = (at / 1_000_000, at % 1_000_000 / 1_000);
            lines.push(format!("{seconds:>8}.{millis:03} {tag} {}", line()));
        }
    }

    fn mix(&mut self, word: u64) {
        self.hash = (self.hash ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn take_lines(&mut self) -> Vec<String> {
        self.lines.take().unwrap_or_default()
    }
}

/// A number that tells texts apart.
pub(crate) fn digest(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}
