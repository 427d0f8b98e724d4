//! A tiny server: keeps what it got, answers a body by itself, a GET by two chunks, and does not want what is put to /unwanted.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[derive(Default)]
struct Got {
    sockets: Vec<TcpStream>,
    whole: Vec<String>,
    /// Of requests that broke off.
    pieces: Vec<String>,
    stopped: bool,
}

pub(super) struct Server {
    address: SocketAddr,
    got: Arc<Mutex<Got>>,
}

impl Server {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Server { address: listener.local_addr().unwrap(), got: Arc::default() };
        let got = Arc::clone(&server.got);
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let (socket, got) = (socket.unwrap(), Arc::clone(&got));
                if got.lock().unwrap().stopped {
                    return;
                }
                got.lock().unwrap().sockets.push(socket.try_clone().unwrap());
                std::thread::spawn(move || while request(&socket, &got) {});
            }
        });
        server
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn connections(&self) -> usize {
        self.got.lock().unwrap().sockets.len()
    }

    /// All requests that came whole, as they came.
    pub(super) fn requests(&self) -> Vec<String> {
        self.got.lock().unwrap().whole.clone()
    }

    pub(super) fn pieces(&self) -> Vec<String> {
        self.got.lock().unwrap().pieces.clone()
    }

    /// Whether exactly this came, sooner or later, of the last request that broke off.
    pub(super) fn broken(&self, expected: &str) -> bool {
        let end = Instant::now() + Duration::from_secs(10);
        while self.pieces().last().is_none_or(|last| last != expected) {
            if Instant::now() > end {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// Ends; gives the address where nobody listens any more.
    pub(super) fn stop(self) -> SocketAddr {
        let mut got = self.got.lock().unwrap();
        got.stopped = true;
        for socket in &got.sockets {
            socket.shutdown(Shutdown::Both).unwrap();
        }
        drop(got);
        let _ = TcpStream::connect(self.address);
        while TcpStream::connect(self.address).is_ok() {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.address
    }
}

/// Serves one request; whether another may follow.
fn request(mut socket: &TcpStream, got: &Mutex<Got>) -> bool {
    // Byte by byte: nothing of the next request is taken.
    let mut reader = BufReader::with_capacity(1, socket);
    let mut bytes = Vec::new();
    let body = read(&mut reader, &mut bytes, socket);
    let text = String::from_utf8(bytes).unwrap();
    let Some(body) = body else {
        if !text.is_empty() {
            got.lock().unwrap().pieces.push(text);
        }
        return false;
    };
    if text.starts_with("PUT /unwanted") {
        return socket.write_all(b"HTTP/1.1 412 Precondition Failed\r\nContent-Length: 2\r\n\r\nno").is_ok();
    }
    let answer = if text.starts_with("GET") {
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\nsum: 6\r\n\r\n".to_owned()
    } else if text.contains("chunked") {
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
    } else {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    got.lock().unwrap().whole.push(text);
    socket.write_all(answer.as_bytes()).is_ok()
}

/// Reads one into `bytes`; its body, where it is whole.
fn read(reader: &mut impl BufRead, bytes: &mut Vec<u8>, mut socket: &TcpStream) -> Option<String> {
    while !bytes.ends_with(b"\r\n\r\n") {
        reader.read_until(b'\n', bytes).ok().filter(|read| *read > 0)?;
    }
    let head = String::from_utf8(bytes.clone()).unwrap();
    if head.contains("/unwanted") {
        return Some(String::new());
    }
    if head.contains("100-continue") {
        socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
    }
    let start = bytes.len();
    if head.contains("chunked") {
        while !bytes.ends_with(b"0\r\n\r\n") {
            reader.read_until(b'\n', bytes).ok().filter(|read| *read > 0)?;
        }
    }
    if let Some(length) = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")) {
        let mut left: usize = length.parse().unwrap();
        let mut byte = [0];
        while left > 0 {
            reader.read_exact(&mut byte).ok()?;
            bytes.push(byte[0]);
            left -= 1;
        }
    }
    Some(String::from_utf8_lossy(&bytes[start..]).into_owned())
}
