//! A TCP socket that is looked at every millisecond while much comes in small pieces, instead of at every piece.
//!
//! A broker that is short of time sends entry by entry. To be woken for each costs more than to read it: a return from the poller, a
//! switch of threads, a read of some hundred bytes. So after a run of such reads the socket is taken out of the poller and read when
//! a timer says so; after some looks in vain it goes back, and a quiet connection costs nothing. What comes waits a millisecond or two
//! for that, in the kernel's buffer, which is larger than what a network brings in that time.
//!
//! SO_RCVLOWAT would do the same inside of the kernel, but then a last small piece would wait for ever without a timer all the same.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::limits::{PULSAR_LOOKS_IN_VAIN_MAX, PULSAR_PACE_MS, PULSAR_SMALL_READ_BYTES, PULSAR_SMALL_READS};

const PACE: Duration = Duration::from_millis(PULSAR_PACE_MS);

/// The socket.
pub(super) struct Paced {
    watch: Watch,
    /// Whether it may be looked at by the timer at all.
    allowed: bool,
    /// Small reads one soon after another.
    small: u32,
    last: Instant,
}

/// Who says that there may be something to read.
enum Watch {
    Poller(TcpStream),
    Timer(Timed),
    /// In between, and after an error there.
    Nobody,
}

struct Timed {
    stream: std::net::TcpStream,
    nap: Pin<Box<Sleep>>,
    /// Whether the nap must be over before the next look.
    resting: bool,
    in_vain: u32,
}

impl Paced {
    pub(super) fn new(stream: TcpStream) -> Self {
        Paced { watch: Watch::Poller(stream), allowed: false, small: 0, last: Instant::now() }
    }

    /// From now on it may be read by the timer: for who reads much and waits for no answer.
    pub(super) fn allow(&mut self) {
        self.allowed = true;
    }

    /// Notes a read that the poller has brought about; whether the timer shall bring about the next.
    fn is_rapid(&mut self, count: usize) -> bool {
        let now = Instant::now();
        let soon = now - self.last < PACE;
        self.last = now;
        self.small = if soon && count < PULSAR_SMALL_READ_BYTES { self.small + 1 } else { 0 };
        self.allowed && count > 0 && self.small >= PULSAR_SMALL_READS
    }

    fn leave_to_timer(&mut self) -> io::Result<()> {
        if let Watch::Poller(stream) = std::mem::replace(&mut self.watch, Watch::Nobody) {
            let nap = Box::pin(sleep_until(Instant::now() + PACE));
            self.watch = Watch::Timer(Timed { stream: stream.into_std()?, nap, resting: true, in_vain: 0 });
        }
        Ok(())
    }

    fn leave_to_poller(&mut self) -> io::Result<()> {
        if let Watch::Timer(timed) = std::mem::replace(&mut self.watch, Watch::Nobody) {
            self.watch = Watch::Poller(TcpStream::from_std(timed.stream)?);
            self.small = 0;
        }
        Ok(())
    }
}

impl Timed {
    /// What is there, after the nap; pending while it lasts; none after too many looks in vain.
    fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<Option<usize>>> {
        loop {
            if self.resting {
                ready!(self.nap.as_mut().poll(cx));
                self.resting = false;
            }
            let free = room.initialize_unfilled();
            let most = free.len();
            match self.stream.read(free) {
                Ok(count) => {
                    room.advance(count);
                    self.in_vain = 0;
                    // A read that fills its room leaves more to be read.
                    if count < most {
                        self.rest();
                    }
                    return Poll::Ready(Ok(Some(count)));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.in_vain += 1;
                    if self.in_vain > PULSAR_LOOKS_IN_VAIN_MAX {
                        return Poll::Ready(Ok(None));
                    }
                    self.rest();
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn rest(&mut self) {
        self.resting = true;
        self.nap.as_mut().reset(Instant::now() + PACE);
    }
}

fn nobody<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::Error::new(io::ErrorKind::NotConnected, "the socket has failed before")))
}

impl AsyncRead for Paced {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match &mut this.watch {
                Watch::Poller(stream) => {
                    let before = room.filled().len();
                    ready!(Pin::new(stream).poll_read(cx, room))?;
                    if this.is_rapid(room.filled().len() - before) {
                        this.leave_to_timer()?;
                    }
                    return Poll::Ready(Ok(()));
                }
                Watch::Timer(timed) => {
                    if ready!(timed.poll_read(cx, room))?.is_some() {
                        return Poll::Ready(Ok(()));
                    }
                    this.leave_to_poller()?;
                }
                Watch::Nobody => return nobody(),
            }
        }
    }
}

impl AsyncWrite for Paced {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        loop {
            match &mut this.watch {
                Watch::Poller(stream) => return Pin::new(stream).poll_write(cx, bytes),
                Watch::Timer(timed) => match timed.stream.write(bytes) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    // Only the poller can tell when it takes more.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => this.leave_to_poller()?,
                    written => return Poll::Ready(written),
                },
                Watch::Nobody => return nobody(),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What a TCP socket has taken is on its way.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().watch {
            Watch::Poller(stream) => Pin::new(stream).poll_shutdown(cx),
            Watch::Timer(timed) => Poll::Ready(timed.stream.shutdown(Shutdown::Write)),
            Watch::Nobody => nobody(),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::time::sleep;

    use super::*;

    async fn pair() -> (Paced, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dialled = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        dialled.set_nodelay(true).unwrap();
        let mut paced = Paced::new(listener.accept().await.unwrap().0);
        paced.allow();
        (paced, dialled)
    }

    /// Reads small pieces until the timer has taken over.
    async fn hurry(paced: &mut Paced, peer: &mut TcpStream) {
        for _ in 0..10_000 {
            peer.write_all(b"x").await.unwrap();
            assert_eq!(paced.read_u8().await.unwrap(), b'x');
            if matches!(paced.watch, Watch::Timer(_)) {
                return;
            }
        }
        panic!("the poller never handed over");
    }

    #[tokio::test]
    async fn pieces_that_come_fast_are_left_to_the_timer_and_silence_to_the_poller() {
        let (mut paced, mut peer) = pair().await;
        hurry(&mut paced, &mut peer).await;
        let mut sent = Vec::new();
        for number in 0..500_u32 {
            peer.write_all(&number.to_be_bytes()).await.unwrap();
            sent.extend(number.to_be_bytes());
        }
        let mut got = vec![0; sent.len()];
        paced.read_exact(&mut got).await.unwrap();
        assert_eq!(got, sent);
        let late = tokio::spawn(async move {
            sleep(Duration::from_millis(200)).await;
            peer.write_all(b"late").await.unwrap();
            peer
        });
        let mut word = [0; 4];
        paced.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"late");
        assert!(matches!(paced.watch, Watch::Poller(_)));
        drop(late.await.unwrap());
        assert_eq!(paced.read(&mut word).await.unwrap(), 0, "the end is seen");
    }

    #[tokio::test]
    async fn much_can_be_written_to_a_peer_that_is_slow_to_take_it() {
        let (mut paced, mut peer) = pair().await;
        hurry(&mut paced, &mut peer).await;
        let much = vec![7; 16 << 20];
        let reading = tokio::spawn(async move {
            sleep(Duration::from_millis(50)).await;
            let mut got = vec![0; 16 << 20];
            peer.read_exact(&mut got).await.unwrap();
            got
        });
        paced.write_all(&much).await.unwrap();
        assert!(reading.await.unwrap() == much);
    }

    #[tokio::test]
    async fn the_end_is_seen_by_the_timer_too() {
        let (mut paced, mut peer) = pair().await;
        hurry(&mut paced, &mut peer).await;
        peer.write_all(b"end").await.unwrap();
        drop(peer);
        let mut rest = Vec::new();
        paced.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"end");
    }

    #[tokio::test]
    async fn who_is_not_allowed_stays_with_the_poller() {
        let (mut paced, mut peer) = pair().await;
        paced.allowed = false;
        for _ in 0..10 * PULSAR_SMALL_READS {
            peer.write_all(b"x").await.unwrap();
            assert_eq!(paced.read_u8().await.unwrap(), b'x');
        }
        assert!(matches!(paced.watch, Watch::Poller(_)));
    }
}
