//! Rules written a second time, simply and by other means than the service's: what it accepts must pass here, too.

use crate::json::Json;

/// Whether `text` may be an id of a campaign, an owner or a tenant.
pub(crate) fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b':' | b'-'))
}

/// Whether `text` may be the sender's id of a command.
pub(crate) fn is_command_id(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|b| (0x21..=0x7e).contains(&b))
}

/// The JSON object that `text` is, nested 32 deep at most.
pub(crate) fn object(text: &str) -> Result<Json, String> {
    let json = Json::read(text).ok_or("no JSON")?;
    if json.depth() > 32 {
        return Err("nested deeper than 32".to_owned());
    }
    json.fields().ok_or("no object")?;
    Ok(json)
}

/// Whether an instant in `text` is one of the contract: RFC 3339, in the years 0 to 9999.
pub(crate) fn is_instant(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 20
        && bytes[..4].iter().all(u8::is_ascii_digit)
        && bytes[4] == b'-'
        && bytes[7] == b'-'
        && matches!(bytes[10], b'T' | b't' | b' ')
        && matches!(bytes[bytes.len() - 1], b'Z' | b'z' | b'0'..=b'9')
}

/// Base64 for URLs, without padding, in its one way of writing.
pub(crate) fn base64url(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut held, mut bits) = (0_u32, 0);
    for c in text.bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        held = held << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits).ok()?);
            held &= (1 << bits) - 1;
        }
    }
    (bits < 6 && held == 0).then_some(bytes)
}

/// The same the other way round.
pub(crate) fn to_base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let held = chunk.iter().fold(0_u32, |held, byte| held << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(char::from(LETTERS[(held >> (18 - 6 * place) & 63) as usize]));
        }
    }
    text
}

/// The words of a message up to what it quotes: what two messages of the same kind have in common.
pub(crate) fn gist(message: &str) -> String {
    const UNKNOWN: &str = "is not a known field";
    if message.ends_with(UNKNOWN) {
        return UNKNOWN.to_owned();
    }
    let told = message.split(['"', '`', '\'']).next().unwrap_or_default();
    told.chars().filter(|c| !c.is_ascii_digit()).take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_back_as_written_and_only_so() {
        for bytes in [&b""[..], b"f", b"fo", b"foo", b"foob", &[0, 255, 128, 7]] {
            assert_eq!(base64url(&to_base64url(bytes)).as_deref(), Some(bytes));
        }
        for text in ["Zg==", "Zh", "Z", "Z g", "Zm9v+"] {
            assert_eq!(base64url(text), None, "{text}");
        }
    }

    #[test]
    fn a_gist_leaves_out_what_is_quoted() {
        assert_eq!(gist("line 12: unknown variant `abc`, at 12"), "line : unknown variant ");
        assert_eq!(gist("x y: is not a known field"), "is not a known field");
    }
}
