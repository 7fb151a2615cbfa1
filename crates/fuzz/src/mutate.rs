//! From an input to one that nobody wrote: bytes turned, cut, doubled and mixed with those of other inputs. What knows
//! JSON lives in `mutate_json`.

use crate::mutate_json;
use crate::rng::Rng;

/// The largest input: somewhat more than any single limit of the service, so that each can be passed.
pub(crate) const MAX_INPUT: usize = 320 * 1024;

/// Parts that are taken, doubled or cut are mostly about this long at most.
const PART: usize = 64;

/// Texts that readers of numbers, names, times and JSON are known to stumble over.
const WORDS: &[&str] = &[
    "0",
    "-1",
    "-0",
    "1e999",
    "1E400",
    "0.1e-7",
    "255",
    "65536",
    "2147483648",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "null",
    "true",
    "NaN",
    "\"\"",
    "[]",
    "{}",
    "[[[[",
    "{\"a\":",
    "\\u0000",
    "\\ud800",
    "\\udfff\\ud800",
    "\\\"",
    "\0",
    "\u{feff}",
    "\u{202e}",
    "\u{1f9e8}",
    "é",
    "e\u{301}",
    "%00",
    "%2e%2e%2f",
    "../",
    "'--",
    "\r\n",
    "\n",
    "\t",
    " ",
    ":",
    ",",
    "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999999Z",
    "10000-01-01T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "2026-06-30T23:59:60Z",
    "2026-11-23T10:00:00+14:00",
    "2026-11-23T10:00:00-00:00",
    "1970-01-01T00:00:00Z",
    "_service",
    "__proto__",
    "$serde_json::private::RawValue",
    "$serde_json::private::Number",
];

/// Makes another input of `input`. `others` are inputs to mix with; `words` are those that the target knows.
pub(crate) fn mutate(rng: &mut Rng, input: &[u8], others: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=rng.below(4) {
        let is_changed = rng.one_in(3) && mutate_json::mutate(rng, &mut bytes, words, WORDS);
        if !is_changed {
            step(rng, &mut bytes, others, words);
        }
    }
    bytes.truncate(MAX_INPUT);
    bytes
}

fn step(rng: &mut Rng, bytes: &mut Vec<u8>, others: &[Vec<u8>], words: &[&str]) {
    let at = rng.below(bytes.len() + 1);
    match rng.below(12) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << rng.below(8);
            }
        }
        1 => {
            let byte = rng.byte();
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        2 => insert(bytes, at, &[rng.byte()]),
        3 => {
            let part = rng.part(bytes.len(), PART);
            bytes.drain(part);
        }
        4 => {
            let part = bytes[rng.part(bytes.len(), PART)].to_vec();
            insert(bytes, at, &part);
        }
        5 | 6 => {
            let word = if rng.one_in(2) { rng.pick(WORDS) } else { rng.pick(words) };
            insert(bytes, at, word.copied().unwrap_or_default().as_bytes());
        }
        7 => {
            let word = if rng.one_in(2) { rng.pick(WORDS) } else { rng.pick(words) };
            let part = rng.part(bytes.len(), PART);
            bytes.splice(part, word.copied().unwrap_or_default().bytes());
        }
        8 => splice(rng, bytes, others),
        9 => bytes.truncate(at),
        10 => replace_number(rng, bytes),
        _ if rng.one_in(8) => blow_up(rng, bytes, at),
        _ => {
            let (from, to) = (rng.part(bytes.len(), PART), rng.below(bytes.len() + 1));
            let part: Vec<u8> = bytes.drain(from).collect();
            let to = to.min(bytes.len());
            insert(bytes, to, &part);
        }
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, part: &[u8]) {
    bytes.splice(at..at, part.iter().copied());
}

/// Goes on as another input does.
fn splice(rng: &mut Rng, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
    let Some(other) = rng.pick(others) else { return };
    if rng.one_in(2) {
        bytes.truncate(rng.below(bytes.len() + 1));
        bytes.extend_from_slice(&other[rng.below(other.len() + 1)..]);
    } else {
        let part = &other[rng.part(other.len(), 4 * PART)];
        insert(bytes, rng.below(bytes.len() + 1), part);
    }
}

/// Puts another number where one is.
fn replace_number(rng: &mut Rng, bytes: &mut Vec<u8>) {
    let starts: Vec<usize> = (0..bytes.len())
        .filter(|&at| bytes[at].is_ascii_digit() && (at == 0 || !bytes[at - 1].is_ascii_digit()))
        .collect();
    let Some(&begin) = rng.pick(&starts) else { return };
    let end = begin + bytes[begin..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = match rng.below(3) {
        0 => 1_u64 << rng.below(64),
        1 => (1_u64 << rng.below(64)) - 1,
        _ => rng.next() >> rng.below(64),
    };
    bytes.splice(begin..end, number.to_string().bytes());
}

/// Repeats a part until it is beyond some limit.
fn blow_up(rng: &mut Rng, bytes: &mut Vec<u8>, at: usize) {
    let part = bytes[rng.part(bytes.len(), 16)].to_vec();
    if part.is_empty() {
        return;
    }
    let sizes = [40, 256, 520, 1_100, 17_000, 66_000, 263_000];
    let size = rng.pick(&sizes).copied().unwrap_or_default().min(MAX_INPUT);
    insert(bytes, at, &part.repeat(size / part.len() + 1));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_inputs_and_none_is_too_large() {
        let others = [b"{\"a\":[1,2,3]}".to_vec(), b"other".to_vec()];
        let run = |seed| {
            let mut rng = Rng::new(seed);
            let mut input = b"{\"campaignId\":\"c-1\",\"n\":7}".to_vec();
            for _ in 0..2_000 {
                input = mutate(&mut rng, &input, &others, &["campaignId"]);
                assert!(input.len() <= MAX_INPUT);
            }
            input
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }

    #[test]
    fn nothing_is_a_fine_beginning() {
        let mut rng = Rng::new(1);
        assert!((0..1_000).any(|_| !mutate(&mut rng, b"", &[], &[]).is_empty()));
    }
}
