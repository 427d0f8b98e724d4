//! The handshake of a cluster, from either side, with a peer that says anything.

use std::io::{self, Read, Write};

use minuet::cluster::Secret;
use minuet::cluster::handshake::{Hello, Identity, Kind, Verdict, dial, listen};

/// A peer that has said all it says, and hears nothing.
struct Said<'a>(&'a [u8]);

impl Read for Said<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.0.read(room)
    }
}

impl Write for Said<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Shakes hands with the bytes. What was said before this process has named its nonce cannot prove anything, so nobody is ever
/// believed, whatever the bytes; the hello is accepted where it is one.
pub fn handshake(bytes: &[u8]) -> bool {
    let hello = Hello {
        kind: Kind::Control,
        from: 1,
        to: 0,
        processes: 2,
        workers: 1,
        run: 7,
        identity: Identity::of("build", "plan"),
    };
    assert!(dial(&mut Said(bytes), &hello, &Secret::none()).is_err(), "a listener was believed");
    let judged = |_: &Hello| -> Verdict { panic!("a client was believed") };
    assert!(listen(&mut Said(bytes), 9, &Secret::none(), judged).is_err(), "a client was believed");
    bytes.first_chunk().and_then(Hello::decode).is_some()
}
