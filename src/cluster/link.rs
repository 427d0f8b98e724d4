//! The control connection to one peer: signs of life both ways, and the few words about the run.
//!
//! A thread reads what comes and sends a beat when nothing else was sent for a while. A stopped process (SIGSTOP) keeps its
//! connections and its kernel answers for it, so only the silence of the process itself can tell; that is what beats are for.
//!
//! ```text
//!  4 bytes   length of what follows, big endian
//!  1 byte    0 beat, 1 begin, 2 finished, 3 leaving, 4 again
//!  then      begin: the word of process 0 in JSON; leaving: why, in words
//! ```

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::socket::{BEAT, SILENT};
use crate::dataflow::Fate;
use crate::error::{Error, Result};
use crate::limits::{CLUSTER_MESSAGE_BYTES_MAX, FILE_BUFFER_BYTES};

/// What processes say to each other beside the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// I am there.
    Beat,
    /// The run begins, like this.
    Begin(Vec<u8>),
    /// All my slots have come to the end of the input.
    Finished,
    /// I end, for this reason.
    Leaving(String),
    /// I end to begin again: so do all.
    Again,
}

impl Word {
    fn encode(&self) -> Vec<u8> {
        let (code, body): (u8, &[u8]) = match self {
            Word::Beat => (0, &[]),
            Word::Begin(body) => (1, body),
            Word::Finished => (2, &[]),
            Word::Leaving(why) => (3, why.as_bytes()),
            Word::Again => (4, &[]),
        };
        let length = (body.len() + 1) as u32;
        [length.to_be_bytes().as_slice(), &[code], body].concat()
    }

    /// The first word in `bytes` and what is left; `None` where it has not come as a whole.
    fn decode(bytes: &[u8]) -> std::result::Result<Option<(Word, usize)>, &'static str> {
        let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if !(1..=CLUSTER_MESSAGE_BYTES_MAX).contains(&length) {
            return Err("it sent a word of a length that cannot be");
        }
        let Some(said) = rest.get(..length) else { return Ok(None) };
        let word = match said[0] {
            0 => Word::Beat,
            1 => Word::Begin(said[1..].to_vec()),
            2 => Word::Finished,
            3 => Word::Leaving(String::from_utf8_lossy(&said[1..]).into_owned()),
            4 => Word::Again,
            _ => return Err("it sent a word that this build does not know"),
        };
        Ok(Some((word, 4 + length)))
    }
}

/// The link to one peer.
pub(super) struct Link {
    peer: usize,
    address: String,
    stream: TcpStream,
    /// Held while a word is written, so that words are not mixed.
    sent: Mutex<Instant>,
    begin: Receiver<Vec<u8>>,
    finished: AtomicBool,
}

impl Link {
    /// Starts the thread of a connection that the peer has been welcomed on.
    pub fn start(peer: usize, address: &str, stream: TcpStream, fate: &Fate) -> Result<Arc<Self>> {
        let failed = |cause: io::Error| Error::outside(format!("the link to process {peer}"), cause);
        stream.set_read_timeout(Some(BEAT)).map_err(failed)?;
        stream.set_write_timeout(Some(SILENT)).map_err(failed)?;
        // One word of that kind ever comes.
        let (tell, begin) = bounded(1);
        let link = Arc::new(Link {
            peer,
            address: address.to_owned(),
            stream,
            sent: Mutex::new(Instant::now()),
            begin,
            finished: AtomicBool::new(false),
        });
        let (inside, fate) = (Arc::clone(&link), fate.clone());
        let live = move || {
            if let Err(error) = inside.live(&tell, &fate) {
                fate.fail(error);
            }
        };
        thread::Builder::new().name(format!("link-{peer}")).spawn(live).map_err(failed)?;
        Ok(link)
    }

    /// The word of process 0, if it comes within `time`.
    pub fn begin(&self, time: Duration) -> Option<Vec<u8>> {
        self.begin.recv_timeout(time).ok()
    }

    /// Sends a word. A failure shows on the thread that reads, which then finds the connection broken.
    pub fn send(&self, word: &Word) -> io::Result<()> {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        (&self.stream).write_all(&word.encode())?;
        *sent = Instant::now();
        Ok(())
    }

    /// Says the last word.
    pub fn close(&self, word: &Word) {
        // Who does not get it finds the connection closed, and draws the same conclusion in fewer words.
        let _ = self.send(word).and_then(|()| self.stream.shutdown(Shutdown::Write));
    }

    /// Listens until the peer has finished; the error is its end.
    fn live(&self, tell: &Sender<Vec<u8>>, fate: &Fate) -> Result<()> {
        let (mut bytes, mut heard) = (Vec::new(), Instant::now());
        let mut room = vec![0; FILE_BUFFER_BYTES];
        loop {
            match (&self.stream).read(&mut room) {
                Ok(0) if self.finished.load(Ordering::Acquire) => return Ok(()),
                Ok(0) => return Err(self.lost("it hung up; its own log may say why")),
                Ok(count) => {
                    heard = Instant::now();
                    bytes.extend_from_slice(&room[..count]);
                }
                Err(cause) if is_timeout(&cause) && heard.elapsed() < SILENT => {}
                Err(cause) if is_timeout(&cause) => {
                    return Err(self.lost(&format!("it has been silent for {} s", SILENT.as_secs())));
                }
                Err(_) if self.finished.load(Ordering::Acquire) => return Ok(()),
                Err(cause) => return Err(self.lost(&cause.to_string())),
            }
            while let Some((word, length)) = Word::decode(&bytes).map_err(|what| self.lost(what))? {
                bytes.drain(..length);
                self.hear(word, tell, fate)?;
            }
            self.beat();
        }
    }

    fn hear(&self, word: Word, tell: &Sender<Vec<u8>>, fate: &Fate) -> Result<()> {
        match word {
            Word::Beat => Ok(()),
            Word::Begin(body) => tell.try_send(body).map_err(|_| self.lost("it began twice")),
            Word::Finished => {
                self.finished.store(true, Ordering::Release);
                Ok(())
            }
            Word::Leaving(why) => Err(self.lost(&why)),
            Word::Again => {
                self.finished.store(true, Ordering::Release);
                fate.renew();
                Ok(())
            }
        }
    }

    fn beat(&self) {
        let quiet = self.sent.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
        if quiet >= BEAT {
            // A peer that takes nothing more is found by its silence.
            let _ = self.send(&Word::Beat);
        }
    }

    fn lost(&self, why: &str) -> Error {
        lost(self.peer, &self.address, why)
    }
}

/// The error that the loss of a peer is.
pub(super) fn lost(peer: usize, address: &str, why: &str) -> Error {
    Error::peer(format!(
        "process {peer} at {address} went away: {why}; this process ends with it, and the newest manifest is where all go on"
    ))
}

/// Whether a read has only run out of time.
fn is_timeout(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use proptest::prelude::*;

    use super::*;
    use crate::error::Fault;

    /// The longest that anything here is waited for; only a hang gets there.
    const PATIENCE: Duration = Duration::from_secs(30);

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let one = TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection");
        (one, listener.accept().expect("the connection").0)
    }

    /// A link and its fate, and the peer's end of the connection.
    fn link() -> (Arc<Link>, Fate, TcpStream) {
        let (ours, theirs) = pair();
        let fate = Fate::default();
        (Link::start(1, "there:9", ours, &fate).expect("a thread"), fate, theirs)
    }

    fn end(fate: &Fate) -> Error {
        let since = Instant::now();
        while !fate.is_over() {
            assert!(since.elapsed() < PATIENCE, "nothing came of its end");
            thread::sleep(Duration::from_millis(2));
        }
        fate.error().expect("it ended with an error")
    }

    fn end_after(last: &[u8]) -> String {
        let (_link, fate, mut theirs) = link();
        theirs.write_all(last).expect("it is open");
        drop(theirs);
        let error = end(&fate);
        assert_eq!(error.fault, Fault::Peer);
        error.to_string()
    }

    #[test]
    fn a_peer_that_ends_is_missed_with_its_reason() {
        assert!(end_after(&[]).contains("hung up"));
        assert!(
            end_after(&Word::Leaving("the disk is full".into()).encode())
                .contains("process 1 at there:9 went away: the disk is full")
        );
        assert!(end_after(&[0, 0, 0, 1, 9]).contains("does not know"));
        assert!(end_after(&[0xff; 8]).contains("a length that cannot be"));
        assert!(end_after(&[0, 0, 0, 0, 0]).contains("a length that cannot be"));
    }

    #[test]
    fn a_peer_that_only_listens_is_missed_when_it_has_been_silent_for_too_long() {
        let (_link, fate, theirs) = link();
        assert!(end(&fate).to_string().contains("silent for 5 s"));
        drop(theirs);
    }

    #[test]
    fn a_peer_that_has_finished_may_hang_up() {
        let (ours, theirs) = pair();
        let (one, other) = (Fate::default(), Fate::default());
        let here = Link::start(1, "there:9", ours, &one).expect("a thread");
        let there = Link::start(0, "here:9", theirs, &other).expect("a thread");
        here.send(&Word::Begin(b"now".to_vec())).expect("it is open");
        assert_eq!(there.begin(PATIENCE).expect("it was sent"), b"now");
        // Both live on their beats.
        thread::sleep(BEAT * 3);
        here.close(&Word::Finished);
        there.close(&Word::Leaving("a disk".into()));
        assert!(end(&one).to_string().contains("a disk"));
        assert!(!other.is_over());
    }

    proptest! {
        #[test]
        fn words_survive_their_bytes_however_they_are_cut(why in ".{0,60}", body in prop::collection::vec(any::<u8>(), 0..60)) {
            let words = [Word::Beat, Word::Begin(body), Word::Finished, Word::Leaving(why), Word::Again];
            let all: Vec<u8> = words.iter().flat_map(Word::encode).collect();
            let (mut came, mut heard) = (Vec::new(), Vec::new());
            for byte in all {
                came.push(byte);
                while let Some((word, length)) = Word::decode(&came).expect("it was just encoded") {
                    came.drain(..length);
                    heard.push(word);
                }
            }
            prop_assert_eq!(heard, words);
        }
    }
}
