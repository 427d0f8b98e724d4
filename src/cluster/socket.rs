//! What all connections between processes have in common: names looked up, options set, time limits kept.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};

use crate::connect::random_number;
use crate::limits::{BEAT_MS, HANDSHAKE_MS_MAX, PEER_SILENT_MS_MAX};

/// How long a peer may be silent.
pub(super) const SILENT: Duration = Duration::from_millis(PEER_SILENT_MS_MAX);

/// Between two questions of the kernel, which counts in whole seconds.
const PROBE: Duration = Duration::from_secs(1);

/// How often a sign of life is sent.
pub(super) const BEAT: Duration = Duration::from_millis(BEAT_MS);

/// Makes a connection notice a dead network by itself: the kernel asks when nothing is sent, and gives up on what is not taken.
pub(super) fn harden(stream: &TcpStream) -> io::Result<()> {
    // The dead-line of the handshake was the socket's and would stay: data that rests for a while is no loss.
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(None)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(SILENT).with_interval(PROBE).with_retries(4))?;
    // A peer that only reads slowly is no dead network: its kernel goes on to answer, and so this limit does not end it.
    socket.set_tcp_user_timeout(Some(SILENT))
}

/// Looks a name up, at every call anew: a pod that comes back has another address.
pub(super) fn look_up(address: &str, only_loopback: bool) -> io::Result<Vec<SocketAddr>> {
    let found: Vec<SocketAddr> = address.to_socket_addrs()?.collect();
    let allowed: Vec<SocketAddr> = found.iter().filter(|a| !only_loopback || a.ip().is_loopback()).copied().collect();
    match (found.is_empty(), allowed.is_empty()) {
        (true, _) => Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address")),
        (_, true) => {
            Err(io::Error::new(io::ErrorKind::PermissionDenied, "without a secret only this machine is dialled"))
        }
        _ => Ok(allowed),
    }
}

/// Listens on the first address of a name that can be listened on.
pub(super) fn listen_on(address: &str, only_loopback: bool) -> io::Result<TcpListener> {
    TcpListener::bind(look_up(address, only_loopback)?.as_slice())
}

/// Waits before another try, for half of the time at least. The other half is chance, so that processes that were started together
/// do not keep step.
pub(super) fn pause(millis: u64) {
    thread::sleep(Duration::from_millis(millis / 2 + random_number() % (millis / 2 + 1)));
}

/// A connection whose every read and write ends at one dead-line, so that no client can drip for ever.
pub(super) struct Timed<'a> {
    stream: &'a TcpStream,
    end: Instant,
}

impl<'a> Timed<'a> {
    /// The dead-line of a handshake that begins now.
    pub fn handshake(stream: &'a TcpStream) -> Self {
        Timed { stream, end: Instant::now() + Duration::from_millis(HANDSHAKE_MS_MAX) }
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(room)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hardened_has_no_dead_line_left() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let stream = TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection");
        Timed::handshake(&stream).write_all(b"hello").expect("it is sent");
        assert!(stream.write_timeout().expect("it can be asked").is_some());
        harden(&stream).expect("it can be hardened");
        assert_eq!(stream.read_timeout().expect("it can be asked"), None);
        assert_eq!(stream.write_timeout().expect("it can be asked"), None);
        let socket = SockRef::from(&stream);
        assert_eq!(socket.tcp_user_timeout().expect("it can be asked"), Some(SILENT));
        assert!(socket.keepalive().expect("it can be asked"));
    }
}
