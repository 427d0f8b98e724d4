use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use super::*;
use crate::dataflow::edges::Observer;
use crate::limits::LOOP_SILENT_MS;
use crate::observe::Progress;
use crate::observe::status::{About, Edges, Status};
use crate::snapshot::Manifest;

fn server() -> (Server, Arc<Board>, Arc<Progress>) {
    let clock: crate::time::Clock = Arc::new(|| 120_000);
    let board = Arc::new(Board::new(About { processes: 1, workers: 1, ..About::default() }, Arc::clone(&clock)));
    let progress = Arc::new(Progress::new(Manifest::default(), 0..1, clock));
    let server = Server::start(Server::listen("127.0.0.1:0").unwrap(), Arc::clone(&board)).unwrap();
    (server, board, progress)
}

/// All that the server says to these bytes.
fn said(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(bytes).unwrap();
    let mut all = Vec::new();
    // A server that hangs up while it is written to is not asked further.
    let _ = stream.read_to_end(&mut all);
    String::from_utf8_lossy(&all).into_owned()
}

#[test]
fn it_is_ready_once_it_runs_and_tells_its_status() {
    let (server, board, progress) = server();
    let at = server.address().to_string();
    let not_yet = ask(&at, "/readyz").unwrap_err().to_string();
    assert!(not_yet.contains("503: it opens its source"), "{not_yet}");
    assert!(ask(&at, "/livez").unwrap().contains("opens its source"));
    progress.read(7);
    board.running(progress, Arc::new(Edges::default));
    assert!(ask(&at, "/readyz").unwrap().starts_with("it has resumed"));
    let status: Status = serde_json::from_str(&ask(&at, "/api/v1/status").unwrap()).unwrap();
    assert_eq!((status.now, status.run.unwrap().events_read), (120_000, 7));
    assert_eq!(ask(&at, "/api/v1/ledger").unwrap(), "[]\n");
    assert!(ask(&at, "/metrics").unwrap().contains("\nminuet_events_read_total 7\n"));
    assert!(ask(&at, "/").unwrap_err().to_string().contains("404: there is nothing here"));
}

#[test]
fn livez_is_503_while_a_loop_does_not_turn() {
    let (_, board, progress) = server();
    board.running(Arc::clone(&progress), Arc::new(Edges::default));
    let (mut pulse, start) = (crate::observe::health::Pulse::default(), Instant::now());
    let later = start + Duration::from_millis(LOOP_SILENT_MS);
    let look = |pulse: &mut _, now| crate::observe::health::alive(&board, pulse, now);
    assert!(look(&mut pulse, start).is_ok());
    let stuck = look(&mut pulse, later).unwrap_err();
    assert!(stuck.starts_with("the worker loop of slot 0 has not turned for 10 s"), "{stuck}");
    progress.turned(0);
    assert!(look(&mut pulse, later).is_ok());
}

#[test]
fn only_get_is_allowed_and_what_is_no_http_is_let_go_of() {
    let (server, ..) = server();
    let refused = said(&server, b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    assert!(refused.starts_with("HTTP/1.1 405 ") && refused.contains("allow: GET"), "{refused}");
    let odd = said(&server, b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n");
    assert!(!odd.contains(" 200 "), "{odd}");
    let long = format!("GET /livez HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(4 * HTTP_HEAD_BYTES_MAX));
    assert!(!said(&server, long.as_bytes()).contains(" 200 "));
    let many = format!("GET /livez HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(HTTP_HEADERS_MAX + 1));
    assert!(!said(&server, many.as_bytes()).contains(" 200 "));
    assert!(said(&server, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").contains(" 200 "));
}

#[test]
fn slow_clients_are_let_go_of_and_others_are_answered() {
    let (server, ..) = server();
    let slow: Vec<TcpStream> = (0..HTTP_CONNECTIONS_MAX)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address()).unwrap();
            stream.write_all(b"GET /li").unwrap();
            stream
        })
        .collect();
    // All places are taken: one is answered once the first of them has been let go of.
    let answered = said(&server, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(answered.starts_with("HTTP/1.1 200 "), "{answered}");
    drop(slow);
}

#[test]
fn a_server_that_is_dropped_gives_its_port_back() {
    let (server, ..) = server();
    let address = server.address();
    let _idle = TcpStream::connect(address).unwrap();
    assert!(Server::listen(&address.to_string()).is_err(), "it is taken");
    drop(server);
    assert!(TcpStream::connect(address).is_err());
}
