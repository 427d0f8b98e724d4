//! A server that answers S3 as a test says, for what a real one does not do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

/// A request: method, path with query, and whether it has a condition.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
}

/// A status and a body.
pub(super) type Answer = (u16, String);

/// Starts one for the rest of the test program; gives its endpoint.
pub(super) fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            // A client that goes away in mid-request is none of the stub's business.
            thread::spawn(move || while serve(&stream, &*answer).is_some() {});
        }
    });
    endpoint
}

/// Answers one request; `None` at the end of the connection.
fn serve(mut stream: &TcpStream, answer: &dyn Fn(&Request) -> Answer) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let request = Request { method: words.next()?, path: words.next()? };
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok().filter(|read| *read > 0)?;
        let (name, value) = header.trim_end().split_once(':').unwrap_or_default();
        if name.is_empty() {
            break;
        }
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
    reader.read_exact(&mut vec![0; length]).ok()?;
    let (status, body) = answer(&request);
    let head =
        format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\nContent-Type: application/xml\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()
}

/// The body of a refusal.
pub(super) fn refusal(code: &str) -> String {
    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>as the test says</Message></Error>")
}
