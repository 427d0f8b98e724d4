//! Real servers for the tests: one of each for all that only use it, and others for those that kill theirs or put a proxy before it.
//!
//! `scripts/stack.sh SERVICE serve` starts them, each on a port of its own, with its data in a temporary folder. A proxy of
//! tests/proxy, within this program, stands before one where requests or answers are to go wrong.

mod clickhouse;
mod leash;
mod s3;
mod tls;

use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) use clickhouse::ClickHouse;
pub(crate) use fault_proxy::{Fault, Proxy, Requests};
pub(crate) use leash::Leash;
pub(crate) use s3::S3;
pub(crate) use tls::Certificates;

use crate::harness::project;

/// The folder of a server's data.
pub(crate) fn place(service: &str, port: u16) -> PathBuf {
    std::env::temp_dir().join(format!("minuet-it-{service}-{}-{port}", std::process::id()))
}

/// The script of a service, with its data in a folder.
pub(crate) fn script(service: &str, place: &Path) -> Command {
    let mut command = Command::new("bash");
    command.arg(project().join("scripts/stack").join(service).join(format!("{service}.sh"))).env("MINUET_STACK", place);
    command
}

const TABLE: &str = "ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 100";

#[test]
fn a_token_is_inserted_once_and_a_killed_clickhouse_keeps_it() {
    let server = ClickHouse::start();
    server.query(&format!("CREATE TABLE t (n UInt32) {TABLE}"));
    let insert = |token: &str| {
        let parameters = format!("query=INSERT+INTO+t+FORMAT+TSV&insert_deduplication_token={token}");
        server.ask(server.address(), &parameters, b"1\n2\n").unwrap();
    };
    insert("a");
    insert("a");
    assert_eq!(server.query("SELECT count() FROM t"), "2");
    server.kill();
    assert!(server.ask(server.address(), "", b"SELECT 1").unwrap_err().starts_with("no answer"));
    server.start_again();
    insert("a");
    assert_eq!(server.query("SELECT count() FROM t"), "2", "the token outlives the server");
    insert("b");
    assert_eq!(server.query("SELECT count() FROM t"), "4");
}

#[test]
fn an_insert_that_breaks_off_stores_nothing() {
    use std::io::Write;
    let server = ClickHouse::shared();
    server.query("CREATE DATABASE cut");
    server.query(&format!("CREATE TABLE cut.t (n UInt32) {TABLE}"));
    let mut socket = std::net::TcpStream::connect(server.address()).unwrap();
    let rows: String = (0..100_000).map(|n| format!("{n}\n")).collect();
    let (user, password) = (server.user(), server.password());
    let head = format!(
        "POST /?query=INSERT+INTO+cut.t+FORMAT+TSV&user={user}&password={password} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n",
        server.url(),
        rows.len() + 1
    );
    socket.write_all(head.as_bytes()).unwrap();
    socket.write_all(rows.as_bytes()).unwrap();
    drop(socket);
    // What was stored would be there by then.
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(server.query("SELECT count() FROM cut.t"), "0");
    let error = server.ask(server.address(), "async_insert=1", b"SELECT 1").unwrap_err();
    assert!(error.contains("501") && error.contains("NOT_IMPLEMENTED"), "{error}");
}

#[test]
fn a_conditional_put_is_refused_the_second_time_and_a_killed_s3_keeps_the_first() {
    let server = S3::start();
    let put = |text: &str| server.request("PUT", "a/b", &["--header", "If-None-Match: *", "--data-binary", text]).0;
    assert_eq!((put("one"), put("two")), (200, 412));
    server.kill();
    assert_eq!(put("three"), 0, "no answer");
    server.start_again();
    assert_eq!(put("four"), 412);
    assert_eq!(server.request("GET", "a/b", &[]), (200, "one".to_owned()));
}

#[test]
fn a_lost_answer_is_one_to_an_insert_that_is_stored() {
    let server = ClickHouse::shared();
    let proxy = Proxy::before(server.address());
    server.query("CREATE DATABASE lost");
    server.query(&format!("CREATE TABLE lost.t (n UInt32) {TABLE}"));
    proxy.fault(Requests::of("POST").query("INSERT"), Fault::Lost, 1);
    let insert =
        || server.ask(proxy.address(), "query=INSERT+INTO+lost.t+FORMAT+TSV&insert_deduplication_token=a", b"1\n2\n");
    assert!(insert().unwrap_err().starts_with("no answer"));
    assert_eq!(server.query("SELECT count() FROM lost.t"), "2");
    insert().unwrap();
    assert_eq!(server.query("SELECT count() FROM lost.t"), "2");
    proxy.fault(Requests::all(), Fault::Cut { after: 3 }, 1);
    assert!(server.ask(proxy.address(), "query=INSERT+INTO+lost.t+FORMAT+TSV", b"3\n4\n").is_err());
    assert_eq!(server.query("SELECT count() FROM lost.t"), "2", "half a body is no insert");
    assert_eq!(proxy.count(&Requests::of("POST")), 3);
}

#[test]
fn a_lost_answer_is_one_to_a_put_that_is_stored() {
    let server = S3::shared();
    let proxy = Proxy::before(server.address());
    let put = |text: &str| {
        let arguments = ["--header", "If-None-Match: *", "--data-binary", text];
        server.request_at(proxy.address(), "PUT", "lost/a", &arguments).0
    };
    proxy.fault(Requests::of("PUT").path("/lost/"), Fault::Lost, 1);
    proxy.fault(Requests::of("PUT").path("/lost/"), Fault::Unavailable { after_body: true }, 1);
    assert_eq!((put("one"), put("two"), put("three")), (0, 503, 412));
    assert_eq!(server.request_at(proxy.address(), "GET", "lost/a", &[]), (200, "one".to_owned()));
    // Long enough that curl waits for its 100 first.
    let long = "x".repeat(2_000_000);
    let file = crate::harness::scratch();
    std::fs::write(file.path().join("long"), &long).unwrap();
    let from = format!("@{}", file.path().join("long").display());
    let arguments = ["--header", "Expect: 100-continue", "--data-binary", &from];
    assert_eq!(server.request_at(proxy.address(), "PUT", "lost/b", &arguments).0, 200);
    assert!(server.request_at(proxy.address(), "GET", "lost/b", &[]).1 == long, "all of it");
}
