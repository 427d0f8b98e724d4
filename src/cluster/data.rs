//! The data connection to one peer, as timely gets it.
//!
//! Timely's own threads panic when a connection ends before its last message, and a panic aborts the process. The loss of a
//! peer is no defect of this process, so it must end it with the exit code that says so: the end is reported to the run's fate
//! here, and timely's thread never hears of it. The thread is left waiting; the process ends without it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use timely::communication::allocator::zero_copy::stream::Stream;

use super::link::lost;
use crate::dataflow::Fate;
use crate::limits::DATA_MESSAGE_BYTES_MAX;

/// How long the control connection gets to say in better words why the peer ended.
const BETTER_WORDS: Duration = Duration::from_millis(200);

/// Bytes of the header of one of timely's messages: six words, big endian, the fifth of which is the length of what follows.
const HEADER_BYTES: usize = 48;

/// Where the length stands in a header.
const LENGTH_AT: std::ops::Range<usize> = 32..40;

/// A connection that never ends for who reads or writes it, except where timely itself has ended it.
pub(super) struct DataStream {
    stream: TcpStream,
    peer: usize,
    address: String,
    fate: Fate,
    frames: Frames,
}

impl DataStream {
    pub fn new(stream: TcpStream, peer: usize, address: &str, fate: &Fate) -> Self {
        DataStream { stream, peer, address: address.to_owned(), fate: fate.clone(), frames: Frames::default() }
    }

    /// Ends the run, and keeps timely's thread from finding out.
    fn missed(&self, why: &str) -> ! {
        thread::sleep(BETTER_WORDS);
        self.fate.fail(lost(self.peer, &self.address, why));
        loop {
            thread::park();
        }
    }
}

impl Read for DataStream {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(room) {
                Ok(0) if self.frames.ended => return Ok(0),
                Ok(0) => self.missed("its data ended in the middle"),
                Ok(count) => {
                    if let Err(what) = self.frames.follow(&room[..count]) {
                        self.missed(what);
                    }
                    return Ok(count);
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(_) if self.frames.ended => return Ok(0),
                Err(cause) => self.missed(&format!("reading its data: {cause}")),
            }
        }
    }
}

impl Write for DataStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes).map_err(|cause| self.missed(&format!("sending data to it: {cause}")))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Stream for DataStream {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(DataStream::new(self.stream.try_clone()?, self.peer, &self.address, &self.fate))
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.stream.set_nonblocking(nonblocking)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        // Timely does this after its last message; a peer that has gone meanwhile has nothing left to learn.
        let _ = self.stream.shutdown(how);
        Ok(())
    }
}

/// Follows timely's messages, to know whether an end is one that was announced: a header without anything after it.
#[derive(Default)]
struct Frames {
    header: Vec<u8>,
    /// Bytes of the present message that have not come.
    left: u64,
    ended: bool,
}

impl Frames {
    fn follow(&mut self, mut bytes: &[u8]) -> Result<(), &'static str> {
        while !bytes.is_empty() {
            if self.ended {
                return Err("data came after its end");
            }
            if self.left > 0 {
                let taken = self.left.min(bytes.len() as u64);
                self.left -= taken;
                bytes = &bytes[taken as usize..];
                continue;
            }
            let (head, rest) = bytes.split_at(bytes.len().min(HEADER_BYTES - self.header.len()));
            self.header.extend_from_slice(head);
            bytes = rest;
            if self.header.len() == HEADER_BYTES {
                let mut length = [0; 8];
                length.copy_from_slice(&self.header[LENGTH_AT]);
                self.header.clear();
                self.left = u64::from_be_bytes(length);
                self.ended = self.left == 0;
                if self.left > DATA_MESSAGE_BYTES_MAX {
                    return Err("a message came that is longer than any that is sent");
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Instant;

    use proptest::prelude::*;
    use timely::communication::networking::MessageHeader;

    use super::*;

    fn message(length: usize) -> Vec<u8> {
        let header = MessageHeader { channel: 3, source: 1, target_lower: 0, target_upper: 2, length, seqno: 9 };
        let mut bytes = Vec::new();
        header.write_to(&mut bytes).expect("a Vec takes every write");
        bytes.resize(bytes.len() + length, 0);
        bytes
    }

    proptest! {
        #[test]
        fn the_end_is_known_however_the_messages_are_cut(lengths in prop::collection::vec(1_usize..200, 0..6), cut in 1_usize..70) {
            let mut all: Vec<u8> = lengths.into_iter().flat_map(message).collect();
            let mut frames = Frames::default();
            for part in all.chunks(cut) {
                frames.follow(part).expect("the messages are whole");
            }
            prop_assert!(!frames.ended);
            all = message(0);
            for part in all.chunks(cut) {
                frames.follow(part).expect("the messages are whole");
            }
            prop_assert!(frames.ended);
            prop_assert!(frames.follow(&[0]).is_err());
        }
    }

    #[test]
    fn a_message_that_cannot_be_is_refused_before_it_is_waited_for() {
        assert!(Frames::default().follow(&[0xff; HEADER_BYTES]).is_err());
    }

    /// A connection of which the peer wrote `bytes` before it hung up.
    fn after(bytes: &[u8], fate: &Fate) -> DataStream {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut peer = TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection");
        peer.write_all(bytes).expect("it is open");
        drop(peer);
        DataStream::new(listener.accept().expect("the connection").0, 1, "there:9", fate)
    }

    #[test]
    fn an_announced_end_is_one() {
        let fate = Fate::default();
        let mut stream = after(&[message(10), message(0)].concat(), &fate);
        let mut read = Vec::new();
        stream.read_to_end(&mut read).expect("it ends");
        assert_eq!((read.len(), fate.is_over()), (2 * HEADER_BYTES + 10, false));
    }

    #[test]
    fn any_other_end_is_the_loss_of_the_peer() {
        let fate = Fate::default();
        let mut stream = after(&message(10)[..30], &fate);
        thread::spawn(move || {
            let mut all = Vec::new();
            stream.read_to_end(&mut all).expect("it never fails");
            panic!("it ended though its end was not announced");
        });
        let since = Instant::now();
        while !fate.is_over() {
            assert!(since.elapsed() < Duration::from_secs(30), "nobody noticed");
            thread::sleep(Duration::from_millis(2));
        }
        assert!(fate.error().expect("an error").to_string().contains("process 1 at there:9 went away"));
    }
}
