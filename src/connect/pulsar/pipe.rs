//! The two directions of a socket, driven together: what waits to go out goes whenever something is waited for.
//!
//! All state is here and none in a future, so whatever waits may be dropped at any time and called again.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::time::{Instant, timeout_at};

use super::socket::Stream;
use super::wire::frame::Inbox;
use crate::limits::{PULSAR_OUTBOX_KEPT_BYTES, PULSAR_WRITE_MS};

const WRITE: Duration = Duration::from_millis(PULSAR_WRITE_MS);

/// A socket with what has come and what is to go.
pub(super) struct Pipe {
    stream: Stream,
    /// What has come.
    pub inbox: Inbox,
    /// What is to go, from `gone` on.
    out: Vec<u8>,
    gone: usize,
    /// Whether the stream may hold bytes that it was given.
    unflushed: bool,
    /// Since when the peer has taken nothing of what is to go.
    stuck: Option<Instant>,
    /// When something came last.
    pub heard: Instant,
}

/// What ended a wait.
pub(super) enum Waited {
    /// Bytes came, or all that was to go has gone.
    Moved,
    /// Nothing happened until the time given.
    Nothing,
}

impl Pipe {
    pub(super) fn new(stream: Stream, inbox: Inbox) -> Self {
        Pipe { stream, inbox, out: Vec::new(), gone: 0, unflushed: false, stuck: None, heard: Instant::now() }
    }

    /// Where frames to send are appended; they go with the next wait or flush.
    pub(super) fn outgoing(&mut self) -> &mut Vec<u8> {
        if self.is_idle() {
            self.stuck = Some(Instant::now());
        }
        &mut self.out
    }

    /// Whether nothing is left to go.
    pub(super) fn is_idle(&self) -> bool {
        self.gone == self.out.len() && !self.unflushed
    }

    /// Bytes that are still to go.
    pub(super) fn left(&self) -> usize {
        self.out.len() - self.gone
    }

    /// Waits until bytes come, all has gone, or this time; an error where the peer takes nothing for too long.
    pub(super) async fn wait(&mut self, until: Instant) -> io::Result<Waited> {
        let stuck = self.stuck.filter(|_| !self.is_idle()).map(|since| since + WRITE);
        let end = stuck.map_or(until, |stuck| stuck.min(until));
        match timeout_at(end, poll_fn(|cx| self.poll(cx))).await {
            Ok(moved) => moved.map(|()| Waited::Moved),
            Err(_) if stuck.is_some_and(|stuck| Instant::now() >= stuck) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("it took nothing of what is sent for {PULSAR_WRITE_MS} ms"),
            )),
            Err(_) => Ok(Waited::Nothing),
        }
    }

    /// Waits until all has gone. What comes meanwhile is taken in, up to a frame, so that no side waits for the other.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        while !self.is_idle() {
            self.wait(Instant::now() + WRITE).await?;
        }
        Ok(())
    }

    /// Sends what the socket takes at once.
    pub(super) async fn nudge(&mut self) -> io::Result<()> {
        poll_fn(|cx| match self.poll_out(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(())),
        })
        .await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let idle = self.is_idle();
        let gone = self.poll_out(cx)?.is_ready() && !idle;
        // With much to read already only a frame that is not whole yet is read on.
        if (idle || self.inbox.waiting() <= self.inbox.longest()) && self.poll_in(cx)?.is_ready() {
            return Poll::Ready(Ok(()));
        }
        if gone { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn poll_in(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut room = ReadBuf::new(self.inbox.room());
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut room))?;
        let count = room.filled().len();
        if count == 0 {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection")));
        }
        self.inbox.filled(count);
        self.heard = Instant::now();
        Poll::Ready(Ok(()))
    }

    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.gone < self.out.len() {
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.out[self.gone..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::WriteZero, "it takes nothing any more")));
            }
            self.gone += count;
            self.unflushed = true;
            self.stuck = Some(Instant::now());
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        self.stuck = None;
        self.gone = 0;
        self.out.clear();
        self.out.shrink_to(PULSAR_OUTBOX_KEPT_BYTES);
        Poll::Ready(Ok(()))
    }
}
