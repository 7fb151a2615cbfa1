//! WebSocket frames as a client needs them here: cut from what was read, without a copy.

/// A frame of a server, which masks nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    Text(&'a [u8]),
    Ping,
    Close(&'a [u8]),
    Other,
}

/// An empty pong; the mask is zero, as is allowed.
pub(super) const PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];

/// A client's text frame.
pub(super) fn text(payload: &str) -> Vec<u8> {
    let length = payload.len();
    let mut frame = vec![0x81];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ ..=125), _) => frame.push(0x80 | short),
        (_, Ok(long)) => {
            frame.push(0xfe);
            frame.extend(long.to_be_bytes());
        }
        _ => {
            frame.push(0xff);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload.as_bytes());
    frame
}

/// The first frame in `bytes` and its length, if it is there as a whole.
pub(super) fn first(bytes: &[u8]) -> Option<(Frame<'_>, usize)> {
    let (head, length) = match *bytes {
        [_, length @ ..=125, ..] => (2, usize::from(length)),
        [_, 126, a, b, ..] => (4, usize::from(u16::from_be_bytes([a, b]))),
        [_, 127, ref rest @ ..] => (10, usize::try_from(u64::from_be_bytes(*rest.first_chunk()?)).ok()?),
        _ => return None,
    };
    let end = head + length;
    let payload = bytes.get(head..end)?;
    let frame = match bytes[0] {
        0x81 => Frame::Text(payload),
        0x88 => Frame::Close(payload),
        0x89 => Frame::Ping,
        _ => Frame::Other,
    };
    Some((frame, end))
}
