//! Asks a running job: one GET, answered by [`super::Server`].

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::limits::{HTTP_ANSWER_BYTES_MAX, HTTP_ASK_MS};

/// The body of the answer to a path; an error where there is none, or it is not 200.
pub fn ask(address: &str, path: &str) -> Result<String> {
    let doing = format!("asking http://{address}{path}");
    let failed = |cause: std::io::Error| {
        Error::outside(&doing, format!("{cause}; is a job running there, and was it started with --http off?"))
    };
    let end = Instant::now() + Duration::from_millis(HTTP_ASK_MS);
    let mut stream = connect(address, end).map_err(failed)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").map_err(failed)?;
    let answer = read(&mut stream, end).map_err(failed)?;
    let not_ours =
        || Error::outside(&doing, "the answer is not that of minuet: is it another program that listens there?");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(not_ours)?;
    match head.split(' ').nth(1) {
        Some("200") => Ok(body.to_owned()),
        Some(code) if head.starts_with("HTTP/1.1 ") => {
            Err(Error::outside(&doing, format!("answered {code}: {}", body.trim_end())))
        }
        _ => Err(not_ours()),
    }
}

fn connect(address: &str, end: Instant) -> std::io::Result<TcpStream> {
    let mut failed = std::io::Error::new(std::io::ErrorKind::NotFound, "the host has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(end)) {
            Ok(stream) => {
                stream.set_write_timeout(Some(left(end)))?;
                return Ok(stream);
            }
            Err(cause) => failed = cause,
        }
    }
    Err(failed)
}

/// All that comes until the other side has said all, or the time is over.
fn read(stream: &mut TcpStream, end: Instant) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        stream.set_read_timeout(Some(left(end)))?;
        match stream.read(&mut piece)? {
            0 => return String::from_utf8(bytes).map_err(std::io::Error::other),
            read => bytes.extend_from_slice(&piece[..read]),
        }
        if bytes.len() as u64 > HTTP_ANSWER_BYTES_MAX {
            return Err(std::io::Error::other(format!("the answer is longer than {HTTP_ANSWER_BYTES_MAX} bytes")));
        }
        if Instant::now() >= end {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
    }
}

/// The time that is left, but never none: that would mean for ever.
fn left(end: Instant) -> Duration {
    end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}
