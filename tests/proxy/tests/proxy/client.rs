//! A client that sends what it is told and reads what comes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// More than any answer takes.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub(super) fn connect(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client { stream: BufReader::new(stream) }
    }

    /// Sends this, or as much as is taken.
    pub(super) fn send(&mut self, text: &str) {
        let _ = self.stream.get_mut().write_all(text.as_bytes());
    }

    pub(super) fn ask(&mut self, request: &str) -> (u16, String) {
        self.send(request);
        if request.starts_with("HEAD") { (self.status(), String::new()) } else { self.answer() }
    }

    fn head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.stream.read_line(&mut head).unwrap() > 0, "cut off: {head:?}");
        }
        head
    }

    /// The status of an answer that has no body.
    pub(super) fn status(&mut self) -> u16 {
        self.head().split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// Status and body; one in chunks as it stands.
    pub(super) fn answer(&mut self) -> (u16, String) {
        let head = self.head();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let mut body = String::new();
        match length {
            Some(length) => {
                (&mut self.stream).take(length.parse().unwrap()).read_to_string(&mut body).unwrap();
            }
            None => {
                while !body.ends_with("0\r\n\r\n") && !body.ends_with("sum: 6\r\n\r\n") {
                    assert!(self.stream.read_line(&mut body).unwrap() > 0, "cut off: {body:?}");
                }
            }
        }
        (status, body)
    }

    /// So many bytes.
    pub(super) fn take(&mut self, bytes: usize) -> String {
        let mut text = vec![0; bytes];
        self.stream.read_exact(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    /// All that comes until the connection ends.
    pub(super) fn whole(&mut self) -> String {
        let mut bytes = Vec::new();
        let _ = self.stream.read_to_end(&mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    /// Whether the connection ends without another byte.
    pub(super) fn ended(&mut self) -> bool {
        match self.stream.fill_buf() {
            Ok(bytes) => bytes.is_empty(),
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }

    /// Whether nothing comes for so long, not even the end.
    pub(super) fn silent_for(&mut self, long: Duration) -> bool {
        self.stream.get_ref().set_read_timeout(Some(long)).unwrap();
        let silent = self.stream.fill_buf().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        self.stream.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
        silent
    }
}
