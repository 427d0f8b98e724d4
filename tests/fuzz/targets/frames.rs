//! Frames of Pulsar's protocol, as they come from a socket.

use minuet::connect::pulsar::wire::command::Incoming;
use minuet::connect::pulsar::wire::frame::Inbox;

/// The longest frame that is believed.
const LONGEST: usize = 4_000;

/// Reads frames from a stream that comes in pieces of 1, 2, 3 and more bytes: the same ones as when it comes at once.
pub fn frames(bytes: &[u8]) -> bool {
    let mut pieces = 0;
    let drip = read(bytes, || {
        pieces += 1;
        pieces
    });
    let flood = read(bytes, || usize::MAX);
    assert_eq!(drip, flood);
    flood.1
}

/// The commands and the lengths of their payloads; whether the stream was all frames.
fn read(mut bytes: &[u8], mut piece: impl FnMut() -> usize) -> (Vec<(Incoming, usize)>, bool) {
    let (mut inbox, mut found) = (Inbox::new(LONGEST), Vec::new());
    loop {
        loop {
            match inbox.take() {
                Ok(None) => break,
                Err(_) => return (found, false),
                Ok(Some(parts)) => match Incoming::read(inbox.bytes(parts.command)) {
                    Ok(command) => found.push((command, inbox.bytes(parts.payload).len())),
                    Err(_) => return (found, false),
                },
            }
        }
        if bytes.is_empty() {
            return (found, inbox.waiting() == 0);
        }
        let room = inbox.room();
        let count = piece().min(bytes.len()).min(room.len());
        room[..count].copy_from_slice(&bytes[..count]);
        inbox.filled(count);
        bytes = &bytes[count..];
    }
}
