//! A broker of the bench's own, which ends with it.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

/// A running broker.
pub struct Broker {
    shell: Child,
    /// The broker ends when this is closed.
    orders: Option<ChildStdin>,
    plain: u16,
    web: u16,
    state: PathBuf,
}

impl Broker {
    /// Starts one; the jars are fetched first where they are missing.
    pub fn start() -> Self {
        let (plain, web) = (free_port(), free_port());
        let state = std::env::temp_dir().join(format!("minuet-bench-pulsar-{}", std::process::id()));
        let mut command = script(plain, web, &state, "serve");
        let mut shell = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("bash is installed");
        let mut answer = String::new();
        let out = shell.stdout.take().expect("it is a pipe");
        BufReader::new(out).read_line(&mut answer).expect("a pipe can be read");
        assert_eq!(answer.trim(), "up", "the broker did not start; what it said is above");
        let orders = shell.stdin.take();
        Broker { shell, orders, plain, web, state }
    }

    /// A topic as `--source` and `--to` take it.
    pub fn address(&self, topic: &str) -> String {
        format!("pulsar://127.0.0.1:{}/{topic}", self.plain)
    }

    /// Its administration.
    pub fn admin(&self) -> String {
        format!("http://127.0.0.1:{}", self.web)
    }

    /// One of the commands of its script.
    pub fn script(&self, verb: &str) -> Command {
        script(self.plain, self.web, &self.state, verb)
    }

    /// Has it delete nothing, whatever is read.
    pub fn keep_everything(&self) {
        let body = r#"{"retentionTimeInMinutes":-1,"retentionSizeInMB":-1}"#;
        let mut stream = TcpStream::connect(("127.0.0.1", self.web)).expect("it listens");
        let head =
            "POST /admin/v2/namespaces/public/default/retention HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close";
        write!(stream, "{head}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            .expect("it takes a request");
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).expect("it answers");
        assert!(answer.contains(" 204"), "it keeps nothing: {answer}");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.orders = None;
        // One that does not end by itself ends with the bench.
        let _ = self.shell.wait();
    }
}

fn script(plain: u16, web: u16, state: &PathBuf, verb: &str) -> Command {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/stack/pulsar/pulsar.sh"));
    command.arg(verb).env("MINUET_STACK", state);
    command.env("MINUET_PULSAR_PORT", plain.to_string()).env("MINUET_PULSAR_WEB", web.to_string());
    command
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it has an address").port()
}
