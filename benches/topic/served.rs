//! A service of the bench's own, which ends with it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// A running service.
pub struct Served {
    shell: Child,
    /// The service ends when this is closed.
    orders: Option<ChildStdin>,
}

impl Served {
    /// Starts what a script serves; what it needs is fetched first where it is missing.
    pub fn start(mut command: Command) -> Self {
        command.arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = command.spawn().expect("bash is installed");
        let mut answer = String::new();
        let out = shell.stdout.take().expect("it is a pipe");
        BufReader::new(out).read_line(&mut answer).expect("a pipe can be read");
        assert_eq!(answer.trim(), "up", "the service did not start; what it said is above");
        let orders = shell.stdin.take();
        Served { shell, orders }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.orders = None;
        // One that does not end by itself ends with the bench.
        let _ = self.shell.wait();
    }
}

/// The script of a service, with its data in a folder.
pub fn script(service: &str, state: &Path) -> Command {
    let stack = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/stack"));
    let mut command = Command::new(stack.join(service).join(format!("{service}.sh")));
    command.env("MINUET_STACK", state);
    command
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it has an address").port()
}

/// What a server of this machine answers to a request that asks to close the connection.
pub fn ask(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.write_all(request.as_bytes()).expect("it takes a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}
