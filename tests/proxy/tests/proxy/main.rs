//! The proxy before a tiny server: what passes is as it was, and what is to go wrong goes wrong for the right requests.
#![allow(clippy::unwrap_used)]

mod client;
mod server;

use std::time::{Duration, Instant};

use client::Client;
use fault_proxy::{ALWAYS, Fault, Outcome, Proxy, Requests};
use server::Server;

fn put(body: &str) -> String {
    format!("PUT /b/k?x=1 HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

const GET: &str = "GET /b/k HTTP/1.1\r\nHost: h\r\n\r\n";

#[test]
fn what_passes_is_as_it_was_on_one_connection() {
    let server = Server::start();
    let proxy = Proxy::before(server.address());
    let mut client = Client::connect(proxy.address());
    assert_eq!(client.ask(&put("hello")), (200, "hello".to_owned()));
    // The server answers a GET in chunks, of which the last has a trailer.
    assert_eq!(client.ask(GET), (200, "3\r\none\r\n3\r\ntwo\r\n0\r\nsum: 6\r\n\r\n".to_owned()));
    let chunked = "POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
    assert_eq!(client.ask(chunked), (200, "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n".to_owned()));
    assert_eq!(client.ask("HEAD /b/k HTTP/1.1\r\n\r\n"), (200, String::new()));
    assert_eq!(server.connections(), 1);
    assert_eq!(
        server.requests(),
        [put("hello"), GET.to_owned(), chunked.to_owned(), "HEAD /b/k HTTP/1.1\r\n\r\n".to_owned()]
    );
    let seen: Vec<_> = proxy.seen().into_iter().map(|seen| (seen.method, seen.outcome)).collect();
    let answered = Some(Outcome::Answered(200));
    assert_eq!(seen, ["PUT", "GET", "POST", "HEAD"].map(|method| (method.to_owned(), answered)));
    assert_eq!((proxy.count(&Requests::all()), proxy.count(&Requests::of("PUT"))), (4, 1));
}

#[test]
fn a_client_that_waits_for_its_100_gets_it_from_the_server() {
    let server = Server::start();
    let proxy = Proxy::before(server.address());
    let mut client = Client::connect(proxy.address());
    let head = "PUT /k HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    client.send(head);
    assert_eq!(client.status(), 100);
    client.send("body");
    assert_eq!(client.answer(), (200, "body".to_owned()));
    // A server that wants no body says so at once.
    client.send("PUT /unwanted HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    assert_eq!(client.answer(), (412, "no".to_owned()));
    assert!(client.ended(), "whether the body comes is not known");
}

#[test]
fn an_answer_is_lost_though_all_is_done() {
    let server = Server::start();
    let proxy = Proxy::before(server.address());
    proxy.fault(Requests::of("PUT"), Fault::Lost, 2);
    let lost = |request: &str| {
        let mut client = Client::connect(proxy.address());
        client.send(request);
        client.ended()
    };
    assert!(lost(&put("a")));
    assert!(!lost(GET), "it is no PUT");
    assert!(lost(&put("b")));
    assert_eq!(Client::connect(proxy.address()).ask(&put("c")), (200, "c".to_owned()));
    assert_eq!(server.requests(), [put("a"), GET.to_owned(), put("b"), put("c")]);
    assert_eq!(proxy.seen()[0].outcome, Some(Outcome::Fault(Fault::Lost)));
    assert_eq!(proxy.waiting(), 0);
}

#[test]
fn what_is_refused_or_unavailable_never_reaches_the_server() {
    let server = Server::start();
    let proxy = Proxy::before(server.address());
    proxy.fault(Requests::all().path("/b/").query("x=1"), Fault::Refused, 1);
    let mut client = Client::connect(proxy.address());
    client.send(&put("a"));
    assert!(client.ended());
    for after_body in [false, true] {
        proxy.fault(Requests::all(), Fault::Unavailable { after_body }, 1);
        let mut client = Client::connect(proxy.address());
        assert_eq!(client.ask(&put(&"a".repeat(100_000))), (503, "service unavailable".to_owned()));
        assert!(client.ended());
    }
    proxy.fault(Requests::all(), Fault::Unavailable { after_body: true }, 1);
    let mut client = Client::connect(proxy.address());
    client.send("PUT /k HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    assert_eq!(client.status(), 100);
    client.send("body");
    assert_eq!(client.answer().0, 503);
    assert_eq!(server.requests(), Vec::<String>::new());
}

#[test]
fn a_cut_body_is_never_whole() {
    let server = Server::start();
    let proxy = Proxy::before(server.address());
    let chunked = "PUT /k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n";
    let head = "PUT /b/k?x=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n";
    let cases = [
        (put("abcde"), 2, format!("{head}ab")),
        (put("abcde"), 100, format!("{head}abcd")),
        (put("abcde"), 0, head.to_owned()),
        (chunked.to_owned(), 3, chunked[..chunked.len() - 9].to_owned()),
        (chunked.to_owned(), 5, chunked[..chunked.len() - 5].to_owned()),
        (chunked.to_owned(), 100, chunked[..chunked.len() - 5].to_owned()),
    ];
    for (request, after, expected) in cases {
        proxy.fault(Requests::all(), Fault::Cut { after }, 1);
        let mut client = Client::connect(proxy.address());
        client.send(&request);
        assert!(client.ended(), "after {after}");
        assert!(server.broken(&expected), "after {after}: {:?}", server.pieces());
    }
    assert_eq!(server.requests(), Vec::<String>::new());
}

#[test]
fn an_answer_that_is_cut_or_stalls_is_never_whole() {
    let server = Server::start();
    let proxy = Proxy::before(server.address());
    proxy.fault(Requests::of("PUT"), Fault::AnswerCut { after: 2 }, 1);
    let mut client = Client::connect(proxy.address());
    client.send(&put("abcde"));
    assert_eq!(client.whole(), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
    proxy.fault(Requests::of("GET"), Fault::AnswerCut { after: 100 }, 1);
    let mut client = Client::connect(proxy.address());
    client.send(GET);
    assert_eq!(client.whole(), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n");
    proxy.fault(Requests::of("PUT"), Fault::AnswerStalled { after: 100 }, 1);
    let mut client = Client::connect(proxy.address());
    client.send(&put("abcde"));
    assert_eq!(client.take("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcd".len()).len(), 42);
    assert!(client.silent_for(Duration::from_millis(200)));
    drop(proxy);
    assert!(client.ended(), "the proxy's end is the connection's");
    assert_eq!(server.requests(), [put("abcde"), GET.to_owned(), put("abcde")]);
}

#[test]
fn a_delayed_one_comes_later_and_a_half_open_one_never() {
    let server = Server::start();
    let proxy = Proxy::before(server.address());
    let late = Duration::from_millis(200);
    proxy.fault(Requests::all(), Fault::Delayed(late), 1);
    let started = Instant::now();
    assert_eq!(Client::connect(proxy.address()).ask(&put("a")).0, 200);
    assert!(started.elapsed() >= late);
    proxy.fault(Requests::all(), Fault::HalfOpen, ALWAYS);
    let mut client = Client::connect(proxy.address());
    client.send(&put("b"));
    assert!(client.silent_for(late));
    proxy.heal();
    assert_eq!(Client::connect(proxy.address()).ask(&put("c")).0, 200);
    drop(proxy);
    assert!(client.ended(), "the proxy's end is the connection's");
    assert_eq!(server.requests(), [put("a"), put("c")]);
}

#[test]
fn a_proxy_that_is_away_refuses_until_it_is_back() {
    let server = Server::start();
    let proxy = Proxy::before(server.address());
    let mut client = Client::connect(proxy.address());
    assert_eq!(client.ask(GET).0, 200);
    proxy.away();
    assert!(client.ended());
    let refused = std::net::TcpStream::connect(proxy.address()).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    proxy.back();
    assert_eq!(Client::connect(proxy.address()).ask(GET).0, 200);
}

#[test]
fn a_server_that_goes_is_seen_to_go() {
    let server = Server::start();
    let proxy = Proxy::before(server.address());
    let mut client = Client::connect(proxy.address());
    assert_eq!(client.ask(GET).0, 200);
    let nobody = server.stop();
    assert!(client.ended(), "an idle connection ends with the server's");
    let proxy = Proxy::before(nobody);
    let mut client = Client::connect(proxy.address());
    client.send(GET);
    assert!(client.ended());
    assert_eq!(proxy.seen()[0].outcome, Some(Outcome::Broken));
}
